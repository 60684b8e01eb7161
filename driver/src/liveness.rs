//! Whether a device is lost. Everything that waits for the device also waits for this.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::NicError;
use crate::hw::HwError;

#[derive(Debug)]
pub(crate) struct Liveness {
    address: String,
    lost: watch::Sender<Option<Arc<str>>>,
}

impl Liveness {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            lost: watch::Sender::new(None),
        }
    }

    /// Declares the device lost; the first reason stays.
    pub(crate) fn fail(&self, reason: &str) {
        self.lost.send_if_modified(|lost| {
            let first = lost.is_none();
            if first {
                tracing::warn!(address = self.address, reason, "NIC lost");
                *lost = Some(reason.into());
            }
            first
        });
    }

    fn error(&self, reason: &str) -> NicError {
        NicError::DeviceGone {
            address: self.address.clone(),
            reason: reason.into(),
        }
    }

    /// An error if the device is lost.
    pub(crate) fn check(&self) -> Result<(), NicError> {
        match &*self.lost.borrow() {
            Some(reason) => Err(self.error(reason)),
            None => Ok(()),
        }
    }

    /// Waits until the device is lost.
    pub(crate) async fn lost(&self) -> NicError {
        let mut lost = self.lost.subscribe();
        let reason = lost
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|reason| reason.clone());
        self.error(&reason.unwrap_or_else(|| "the driver was closed".into()))
    }

    /// Runs an operation, but not longer than the device is there. When the way to the device fails
    /// under the operation, the device is lost.
    pub(crate) async fn guard<T>(
        &self,
        operation: impl Future<Output = Result<T, NicError>>,
    ) -> Result<T, NicError> {
        self.check()?;
        let outcome = tokio::select! {
            biased;
            outcome = operation => outcome,
            lost = self.lost() => Err(lost),
        };
        match outcome {
            Err(NicError::Hw(error)) if !matches!(error, HwError::Refused { .. }) => {
                self.fail(&error.to_string());
                Err(self.lost().await)
            }
            outcome => outcome,
        }
    }
}
