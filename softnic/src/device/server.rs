//! The vfio-user server: one thread, one driver at a time, the next may attach when one has left.
//!
//! The protocol library ends a connection by returning, and on some malformed messages by
//! panicking; both only end that connection.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use flownic_device_abi::pci;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_NORESIZE, VFIO_IRQ_SET_ACTION_TRIGGER,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_BAR0_REGION_INDEX,
    VFIO_PCI_BAR2_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS, VFIO_REGION_INFO_FLAG_MMAP,
    VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE, vfio_region_info,
    vfio_region_sparse_mmap_area,
};
use vfio_user::{
    DmaMapFlags, DmaUnmapFlags, IrqInfo, Server, ServerBackend, ServerRegion, SparseArea,
};

use super::Shared;
use super::config::Effect;
use super::dma::Rights;
use super::registers::Request;

/// Where drivers connect. Dropping it ends the server as soon as no driver is connected.
#[derive(Debug)]
pub(super) struct Listener {
    socket: OwnedFd,
    path: PathBuf,
    stopped: Arc<AtomicBool>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // Wakes `accept`; both failures leave something behind that does no harm.
        let _ = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Starts to serve drivers at `path`. `doorbells` is the memory of BAR2 that `shared` maps.
pub(super) fn start(path: &Path, shared: Arc<Shared>, doorbells: OwnedFd) -> io::Result<Listener> {
    let socket = OwnedFd::from(bind(path)?);
    let stopped = Arc::new(AtomicBool::new(false));
    let listener = Listener {
        socket: socket.try_clone()?,
        path: path.to_path_buf(),
        stopped: stopped.clone(),
    };
    thread::Builder::new()
        .name("vfio-user".into())
        .spawn(move || serve(socket, &shared, &doorbells, &stopped))?;
    Ok(listener)
}

/// Binds a socket, in place of one that a dead process left behind.
fn bind(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::metadata(path)?.file_type().is_socket();
            if !is_socket || UnixStream::connect(path).is_ok() {
                return Err(error); // not ours to remove, or somebody serves it
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        other => other,
    }
}

fn serve(socket: OwnedFd, shared: &Arc<Shared>, doorbells: &OwnedFd, stopped: &AtomicBool) {
    let server = Server::from_owned_fd(socket, true, interrupts(), regions(doorbells));
    while !stopped.load(Ordering::Acquire) {
        let mut backend = Backend { shared };
        let ended = catch_unwind(AssertUnwindSafe(|| server.run(&mut backend)));
        if stopped.load(Ordering::Acquire) {
            return;
        }
        match ended {
            Ok(Ok(())) => tracing::info!("driver disconnected"),
            Ok(Err(vfio_user::Error::SocketAccept(error))) => {
                tracing::error!(%error, "cannot accept a driver");
                pause();
            }
            Ok(Err(error)) => tracing::warn!(%error, "driver's connection failed"),
            Err(_) => tracing::warn!("driver's connection ended: malformed message"),
        }
        shared.lock().disconnect();
    }
}

/// Before the next try to accept, which would fail at once again: out of descriptors, most likely.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing tells when the system has descriptors again"
)]
fn pause() {
    thread::sleep(Duration::from_millis(100));
}

fn interrupts() -> Vec<IrqInfo> {
    (0..VFIO_PCI_NUM_IRQS)
        .map(|index| match index {
            VFIO_PCI_MSIX_IRQ_INDEX => IrqInfo {
                index,
                flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE,
                count: pci::VECTORS.into(),
            },
            _ => IrqInfo {
                index,
                flags: 0,
                count: 0,
            },
        })
        .collect()
}

fn regions(doorbells: &OwnedFd) -> Vec<ServerRegion> {
    let access = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    let region = |index, size, flags| ServerRegion {
        region_info: vfio_region_info {
            argsz: size_of::<vfio_region_info>() as u32,
            index,
            size,
            flags,
            ..Default::default()
        },
        sparse_areas: Vec::new(),
        mmap_fd: None,
    };
    (0..VFIO_PCI_NUM_REGIONS)
        .map(|index| match index {
            VFIO_PCI_CONFIG_REGION_INDEX => region(index, pci::CONFIG_LEN as u64, access),
            VFIO_PCI_BAR0_REGION_INDEX => region(index, pci::BAR0_LEN.into(), access),
            VFIO_PCI_BAR2_REGION_INDEX => {
                let size = pci::BAR2_LEN.into();
                // The library hands the descriptor out only with a list of areas; this one is all of it.
                let whole = SparseArea {
                    area: vfio_region_sparse_mmap_area { offset: 0, size },
                };
                ServerRegion {
                    sparse_areas: vec![whole],
                    mmap_fd: Some(doorbells.as_raw_fd()),
                    ..region(index, size, access | VFIO_REGION_INFO_FLAG_MMAP)
                }
            }
            _ => region(index, 0, 0),
        })
        .collect()
}

/// One driver's connection.
struct Backend<'a> {
    shared: &'a Arc<Shared>,
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

impl ServerBackend for Backend<'_> {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> io::Result<()> {
        let read = match region {
            VFIO_PCI_CONFIG_REGION_INDEX => self.shared.lock().config.read(offset, data),
            VFIO_PCI_BAR0_REGION_INDEX if data.len() <= 8 => {
                self.shared.lock().bar0_read(offset, data);
                Some(())
            }
            VFIO_PCI_BAR2_REGION_INDEX => usize::try_from(offset)
                .ok()
                .and_then(|offset| self.shared.doorbells.read(offset, data)),
            _ => None,
        };
        read.ok_or_else(|| invalid("read outside of a region"))
    }

    /// Writes may be posted, and the library would answer an error even then: so there is none.
    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> io::Result<()> {
        match region {
            VFIO_PCI_CONFIG_REGION_INDEX => {
                let mut function = self.shared.lock();
                match function.config.write(offset, data) {
                    Some(Effect::Reset) => function.reset(),
                    Some(Effect::None) => {}
                    None => tracing::debug!(
                        offset,
                        len = data.len(),
                        "write beyond configuration space"
                    ),
                }
            }
            VFIO_PCI_BAR0_REGION_INDEX => {
                let request = self.shared.lock().bar0_write(offset, data);
                if request == Request::Wake {
                    self.shared.wake();
                }
            }
            VFIO_PCI_BAR2_REGION_INDEX => {
                let offset = usize::try_from(offset).ok();
                if offset
                    .and_then(|offset| self.shared.doorbells.write(offset, data))
                    .is_none()
                {
                    tracing::debug!(?offset, len = data.len(), "write beyond BAR2");
                }
            }
            _ => tracing::debug!(region, offset, "write to a region that does not exist"),
        }
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> io::Result<()> {
        let rights = Rights {
            read: flags.contains(DmaMapFlags::READ),
            write: flags.contains(DmaMapFlags::WRITE),
        };
        let file = fd.map(|file| (file, offset));
        self.shared
            .lock()
            .dma
            .map(address, size, rights, file)
            .map_err(|error| {
                tracing::warn!(%error, address, size, offset, "DMA region refused");
                invalid("DMA region refused")
            })
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> io::Result<()> {
        let mut function = self.shared.lock();
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            function.dma.clear();
        } else {
            function.dma.unmap(address, size);
        }
        Ok(())
    }

    fn reset(&mut self) -> io::Result<()> {
        self.shared.lock().reset();
        Ok(())
    }

    /// Count 0 without data takes all descriptors away; a vector without a descriptor loses its own.
    fn set_irqs(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        fds: Vec<File>,
    ) -> io::Result<()> {
        if index != VFIO_PCI_MSIX_IRQ_INDEX || flags & VFIO_IRQ_SET_ACTION_TRIGGER == 0 {
            return Ok(()); // masks: kept by whoever owns the descriptors
        }
        let mut function = self.shared.lock();
        if flags & VFIO_IRQ_SET_DATA_NONE != 0 && count == 0 {
            function.vectors = Default::default();
            return Ok(());
        }
        let end = start
            .checked_add(count)
            .filter(|&end| end <= pci::VECTORS.into());
        let Some(end) = end.filter(|_| flags & VFIO_IRQ_SET_DATA_EVENTFD != 0) else {
            return Err(invalid("no such interrupt vectors"));
        };
        let mut fds = fds.into_iter();
        for vector in &mut function.vectors[start as usize..end as usize] {
            *vector = fds.next().map(not_blocking).transpose()?;
        }
        Ok(())
    }
}

/// The worker writes to this descriptor: it must never wait there.
fn not_blocking(file: File) -> io::Result<File> {
    let flags = rustix::fs::fcntl_getfl(file.as_fd())?;
    rustix::fs::fcntl_setfl(file.as_fd(), flags | rustix::fs::OFlags::NONBLOCK)?;
    Ok(file)
}
