//! Batches of updates, and what became of each update.
//!
//! Targets report refused updates as one status for the batch whose details hold one error for
//! each update (P4Runtime specification, 12.3).

use flownic_api::google::rpc;
use flownic_api::p4::v1 as proto;
use flownic_pipeline::entity::{Atomicity, Code, Update, UpdateError};
use prost::Message as _;
use tonic::Status;

use super::convert;
use super::error::P4RuntimeError;
use super::session::Session;

const WHAT: &str = "a batch of updates";
/// Updates in one request, where a batch may be divided. The errors of all of them come in one
/// HTTP/2 trailer, about 60 bytes each, and more where there is a message.
const UPDATES_PER_REQUEST: usize = 1000;

/// What became of one update.
pub(super) type Outcome = Result<(), UpdateError>;

/// Writes a batch. A batch that continues after errors is divided into several requests when it is
/// large; the order stays.
pub(super) async fn write(
    session: &Session,
    updates: &[Update],
    atomicity: Atomicity,
) -> Result<Vec<Outcome>, P4RuntimeError> {
    let converted: Vec<_> = updates.iter().map(convert::update_to_proto).collect();
    if atomicity != Atomicity::ContinueOnError {
        return write_atomic(session, converted, atomicity).await;
    }
    let mut outcomes = Vec::with_capacity(updates.len());
    for chunk in converted.chunks(UPDATES_PER_REQUEST) {
        let good: Vec<_> = chunk.iter().flatten().cloned().collect();
        let mut answers = send(session, good, atomicity).await?.into_iter();
        outcomes.extend(chunk.iter().map(|update| match update {
            Err(error) => Err(error.clone()),
            Ok(_) => answers.next().unwrap_or(Ok(())),
        }));
    }
    Ok(outcomes)
}

async fn write_atomic(
    session: &Session,
    converted: Vec<Result<proto::Update, UpdateError>>,
    atomicity: Atomicity,
) -> Result<Vec<Outcome>, P4RuntimeError> {
    let all: Result<Vec<_>, _> = converted.iter().cloned().collect();
    let outcomes = match all {
        Ok(all) => send(session, all, atomicity).await?,
        Err(_) => converted.into_iter().map(|u| u.map(drop)).collect(),
    };
    Ok(abort_others(outcomes))
}

/// All or nothing: if one failed, none was done.
fn abort_others(outcomes: Vec<Outcome>) -> Vec<Outcome> {
    if outcomes.iter().all(Result::is_ok) {
        return outcomes;
    }
    let aborted = || UpdateError {
        code: Code::Aborted,
        message: "not done, because another update of the batch failed".to_owned(),
    };
    let each = outcomes.into_iter();
    each.map(|outcome| outcome.and_then(|()| Err(aborted())))
        .collect()
}

async fn send(
    session: &Session,
    updates: Vec<proto::Update>,
    atomicity: Atomicity,
) -> Result<Vec<Outcome>, P4RuntimeError> {
    let count = updates.len();
    if count == 0 {
        return Ok(Vec::new());
    }
    let target = session.target();
    let request = proto::WriteRequest {
        device_id: target.device_id,
        role: target.role.clone(),
        election_id: Some(session.election_id()),
        updates,
        atomicity: convert::atomicity_to_proto(atomicity) as i32,
        ..Default::default()
    };
    let mut client = session.client();
    let call = client.write(request);
    match session.try_call(WHAT, target.deadline, call).await? {
        Ok(_) => Ok(vec![Ok(()); count]),
        Err(status) => match outcomes(&status, count) {
            Details::Each(outcomes) => Ok(outcomes),
            Details::Malformed(reason) => Err(P4RuntimeError::Malformed { what: WHAT, reason }),
            Details::None if is_refusal(&status) => {
                let error = proto::Error {
                    canonical_code: status.code() as i32,
                    message: status.message().to_owned(),
                    ..Default::default()
                };
                Ok(vec![Err(update_error(&error)); count])
            }
            Details::None => Err(session.failure(WHAT, &status)),
        },
    }
}

/// Whether the target looked at the batch as a whole and did nothing of it. Other codes leave that
/// open, or tell of the session.
fn is_refusal(status: &Status) -> bool {
    use tonic::Code;
    matches!(
        status.code(),
        Code::Unimplemented | Code::InvalidArgument | Code::OutOfRange
    )
}

/// What the status of a refused batch says of its updates.
#[derive(Debug, PartialEq)]
enum Details {
    /// One outcome for each.
    Each(Vec<Outcome>),
    /// Nothing: the batch was refused as a whole.
    None,
    /// Nonsense.
    Malformed(String),
}

fn outcomes(status: &Status, count: usize) -> Details {
    if status.details().is_empty() {
        return Details::None;
    }
    let details = match rpc::Status::decode(status.details()) {
        Ok(decoded) => decoded.details,
        Err(error) => return Details::Malformed(format!("status details: {error}")),
    };
    if details.is_empty() {
        return Details::None;
    }
    if details.len() != count {
        let found = details.len();
        return Details::Malformed(format!("{found} results for {count} updates"));
    }
    let each: Result<Vec<_>, _> = details.iter().map(outcome).collect();
    match each {
        // A failed batch without a failed update would pass as done.
        Ok(each) if each.iter().all(Result::is_ok) => {
            Details::Malformed("the batch failed, and none of its updates".to_owned())
        }
        Ok(each) => Details::Each(each),
        Err(reason) => Details::Malformed(reason),
    }
}

fn outcome(detail: &prost_types::Any) -> Result<Outcome, String> {
    if !detail.type_url.ends_with("/p4.v1.Error") {
        return Err(format!("`{}` is no result of an update", detail.type_url));
    }
    let error = proto::Error::decode(&detail.value[..]).map_err(|error| error.to_string())?;
    if error.canonical_code == 0 {
        return Ok(Ok(()));
    }
    Ok(Err(update_error(&error)))
}

fn update_error(error: &proto::Error) -> UpdateError {
    let grpc = tonic::Code::from_i32(error.canonical_code);
    let code = match grpc {
        tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Code::InvalidArgument,
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::AlreadyExists => Code::AlreadyExists,
        tonic::Code::PermissionDenied => Code::PermissionDenied,
        tonic::Code::ResourceExhausted => Code::ResourceExhausted,
        tonic::Code::Aborted => Code::Aborted,
        tonic::Code::Unimplemented => Code::Unimplemented,
        _ => Code::Internal,
    };
    // Codes without an equal here must not be lost.
    let name = match code {
        Code::Internal if grpc != tonic::Code::Internal => format!("{grpc:?}: "),
        _ => String::new(),
    };
    let vendor = match error.space.as_str() {
        "" => String::new(),
        space if error.code == 0 => format!(" [{space}]"),
        space => format!(" [{space} {}]", error.code),
    };
    UpdateError {
        code,
        message: format!("{name}{}{vendor}", error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32, message: &str) -> proto::Error {
        proto::Error {
            canonical_code: code,
            message: message.to_owned(),
            ..Default::default()
        }
    }

    fn status(errors: &[proto::Error], type_url: &str) -> Status {
        let details = errors.iter().map(|error| prost_types::Any {
            type_url: type_url.to_owned(),
            value: error.encode_to_vec(),
        });
        let status = rpc::Status {
            code: 2,
            details: details.collect(),
            ..Default::default()
        };
        Status::with_details(tonic::Code::Unknown, "", status.encode_to_vec().into())
    }

    const URL: &str = "type.googleapis.com/p4.v1.Error";

    #[test]
    fn r7_3_details_say_what_became_of_each_update() {
        let status = status(&[error(0, ""), error(6, "twice"), error(2, "why?")], URL);
        let Details::Each(each) = outcomes(&status, 3) else {
            panic!("no outcomes");
        };
        assert_eq!(each[0], Ok(()));
        let second = each[1].clone().unwrap_err();
        assert_eq!(
            (second.code, &*second.message),
            (Code::AlreadyExists, "twice")
        );
        let third = each[2].clone().unwrap_err();
        assert_eq!(
            (third.code, &*third.message),
            (Code::Internal, "Unknown: why?")
        );
    }

    #[test]
    fn r7_4_malformed_details_are_refused() {
        let two = [error(0, ""), error(3, "")];
        assert!(matches!(
            outcomes(&status(&two, URL), 3),
            Details::Malformed(_)
        ));
        assert!(matches!(
            outcomes(&status(&two, "x/p4.v1.Other"), 2),
            Details::Malformed(_)
        ));
        let none_failed = status(&[error(0, ""), error(0, "")], URL);
        assert!(matches!(outcomes(&none_failed, 2), Details::Malformed(_)));
        let garbage = Status::with_details(tonic::Code::Unknown, "", vec![0xff].into());
        assert!(matches!(outcomes(&garbage, 1), Details::Malformed(_)));
        assert_eq!(outcomes(&Status::unknown("all of it"), 1), Details::None);
    }

    #[test]
    fn r7_3_a_failed_update_aborts_the_others_of_an_atomic_batch() {
        let failed = UpdateError {
            code: Code::NotFound,
            message: "no such entry".to_owned(),
        };
        let outcomes = abort_others(vec![Ok(()), Err(failed.clone())]);
        assert_eq!(outcomes[0].clone().unwrap_err().code, Code::Aborted);
        assert_eq!(outcomes[1], Err(failed));
        assert_eq!(abort_others(vec![Ok(()), Ok(())]), [Ok(()), Ok(())]);
    }
}
