//! The program of a target: P4Info and what the target loads.

use flownic_api::p4::config::v1 as proto_config;
use flownic_api::p4::v1 as proto;
use flownic_api::p4::v1::get_forwarding_pipeline_config_request::ResponseType;
use flownic_api::p4::v1::set_forwarding_pipeline_config_request::Action;
use flownic_pipeline::p4info::P4Info;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::error::P4RuntimeError;
use super::session::Session;

/// Targets may compile what they load: loading may take this many deadlines.
const LOADING_DEADLINES: u32 = 6;

/// What a target runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pipeline {
    pub(super) p4info: P4Info,
    pub(super) cookie: u64,
}

/// The pipeline model's P4Info of a message. Fields of type `Any` and source locations are not
/// kept: nothing here understands the former, and the latter are for compilers.
///
/// # Errors
/// A text for a person, when the message has what the model cannot say.
pub fn p4info_from_proto(mut message: proto_config::P4Info) -> Result<P4Info, String> {
    message.externs.clear();
    for table in &mut message.tables {
        table.other_properties = None;
    }
    P4Info::from_binary(&message.encode_to_vec()).map_err(|error| error.to_string())
}

/// The message of a P4Info.
///
/// # Errors
/// A text for a person, when the model's binary form is no such message.
pub fn p4info_to_proto(p4info: &P4Info) -> Result<proto_config::P4Info, String> {
    let binary = p4info.to_binary();
    proto_config::P4Info::decode(&binary[..]).map_err(|error| error.to_string())
}

/// The mark that a target keeps with a program: equal programs have equal ones. Never 0.
pub fn cookie(p4info: &P4Info, device_config: &[u8]) -> u64 {
    let p4info = p4info.to_binary();
    let mut hash = Sha256::new();
    hash.update((p4info.len() as u64).to_be_bytes());
    hash.update(&p4info);
    hash.update(device_config);
    let first = hash.finalize().into_iter().take(8);
    first.fold(0, |number, byte| number << 8 | u64::from(byte)) | 1
}

/// Asks what the target runs.
pub(super) async fn get(session: &Session) -> Result<Pipeline, P4RuntimeError> {
    const WHAT: &str = "the request for the pipeline";
    let config = request(session, WHAT, ResponseType::P4infoAndCookie).await?;
    let cookie = config.cookie.map_or(0, |cookie| cookie.cookie);
    let message = config.p4info.ok_or(P4RuntimeError::NoPipeline)?;
    let p4info = p4info_from_proto(message)
        .map_err(|reason| P4RuntimeError::Malformed { what: WHAT, reason })?;
    Ok(Pipeline { p4info, cookie })
}

/// Gives the target a program, unless it has the same one already: then its entries stay.
pub(super) async fn set(
    session: &Session,
    p4info: &P4Info,
    device_config: &[u8],
) -> Result<(), P4RuntimeError> {
    const WHAT: &str = "the pipeline";
    let cookie = cookie(p4info, device_config);
    if present_cookie(session).await? == Some(cookie) {
        tracing::info!(cookie, "the target has this pipeline already");
        return Ok(());
    }
    let p4info = p4info_to_proto(p4info).map_err(|message| P4RuntimeError::Refused {
        what: WHAT,
        code: "InvalidArgument".to_owned(),
        message,
    })?;
    let request = proto::SetForwardingPipelineConfigRequest {
        device_id: session.target().device_id,
        role: session.target().role.clone(),
        election_id: Some(session.election_id()),
        action: Action::VerifyAndCommit as i32,
        config: Some(proto::ForwardingPipelineConfig {
            p4info: Some(p4info),
            p4_device_config: device_config.to_vec(),
            cookie: Some(proto::forwarding_pipeline_config::Cookie { cookie }),
        }),
        ..Default::default()
    };
    let mut client = session.client();
    let after = session.target().deadline * LOADING_DEADLINES;
    let call = client.set_forwarding_pipeline_config(request);
    session.call(WHAT, after, call).await.map(drop)
}

async fn present_cookie(session: &Session) -> Result<Option<u64>, P4RuntimeError> {
    const WHAT: &str = "the request for the pipeline's cookie";
    match request(session, WHAT, ResponseType::CookieOnly).await {
        Ok(config) => Ok(config.cookie.map(|cookie| cookie.cookie)),
        // There is none, or the target cannot tell: it gets one.
        Err(
            P4RuntimeError::NoPipeline
            | P4RuntimeError::Unsupported { .. }
            | P4RuntimeError::Refused { .. },
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn request(
    session: &Session,
    what: &'static str,
    response_type: ResponseType,
) -> Result<proto::ForwardingPipelineConfig, P4RuntimeError> {
    let request = proto::GetForwardingPipelineConfigRequest {
        device_id: session.target().device_id,
        response_type: response_type as i32,
    };
    let mut client = session.client();
    let call = client.get_forwarding_pipeline_config(request);
    let response = session.call(what, session.target().deadline, call).await?;
    response.config.ok_or(P4RuntimeError::NoPipeline)
}
