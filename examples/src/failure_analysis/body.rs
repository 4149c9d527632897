//! The body of a request: bounded in size, time and memory, and unpacked.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::problem::Problem;

/// The unit in which memory is handed out, in bytes.
const UNIT: u64 = 64 << 10;

/// The memory that all requests together may hold.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    free: Arc<Semaphore>,
    units: usize,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Self {
        let units = usize::try_from(bytes / UNIT)
            .unwrap_or(usize::MAX)
            .clamp(1, 1 << 24);
        Self {
            free: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// How much is held, in bytes.
    pub(crate) fn held(&self) -> u64 {
        (self.units - self.free.available_permits()) as u64 * UNIT
    }
}

/// A body with the memory it holds; dropping it gives the memory back.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Vec<u8>,
    held: Held,
}

#[derive(Debug)]
struct Held {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
    units: u64,
}

impl Held {
    fn new(budget: &Budget) -> Self {
        Self {
            budget: budget.clone(),
            permit: None,
            units: 0,
        }
    }

    /// Makes sure that `bytes` in all are paid for.
    fn grow_to(&mut self, bytes: u64) -> Result<(), Problem> {
        let missing = bytes.div_ceil(UNIT).saturating_sub(self.units);
        if missing == 0 {
            return Ok(());
        }
        let count = u32::try_from(missing).map_err(|_| Problem::Busy)?;
        let more = Arc::clone(&self.budget.free)
            .try_acquire_many_owned(count)
            .map_err(|_| Problem::Busy)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            none => *none = Some(more),
        }
        self.units += missing;
        Ok(())
    }
}

/// Reads a body to its end.
pub(crate) async fn receive(
    mut body: Body,
    limit: u64,
    within: Duration,
    budget: &Budget,
) -> Result<Received, Problem> {
    let mut received = Received {
        bytes: Vec::new(),
        held: Held::new(budget),
    };
    let read = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                return Err(Problem::Broken);
            };
            if let Ok(data) = frame.into_data() {
                let size = (received.bytes.len() + data.len()) as u64;
                if size > limit {
                    return Err(Problem::TooLarge { limit });
                }
                received.held.grow_to(size)?;
                received.bytes.extend_from_slice(&data);
            }
        }
        Ok(())
    };
    tokio::time::timeout(within, read)
        .await
        .map_err(|_| Problem::TooSlow)??;
    Ok(received)
}

impl Received {
    /// Unpacks a gzip body, within the same limit and budget.
    pub(crate) fn gunzip(self, limit: u64) -> Result<Self, Problem> {
        let mut unpacked = Self {
            bytes: Vec::new(),
            held: Held::new(&self.held.budget),
        };
        let mut stream = MultiGzDecoder::new(self.bytes.as_slice());
        let mut chunk = vec![0; UNIT as usize];
        loop {
            let count = match stream.read(&mut chunk) {
                Ok(0) => return Ok(unpacked),
                Ok(count) => count,
                Err(_) => return Err(Problem::BadEncoding),
            };
            let size = (unpacked.bytes.len() + count) as u64;
            if size > limit {
                return Err(Problem::TooLarge { limit });
            }
            unpacked.held.grow_to(size)?;
            unpacked.bytes.extend_from_slice(&chunk[..count]);
        }
    }
}
