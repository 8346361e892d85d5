//! How many threads libtorch computes with, and which libtorch it is.
//!
//! The default is one thread for each core in each process: four workers on four cores then answer 1.6 images a
//! second in place of 53. So the number is set once, before anything is computed, and checked on the very thread
//! that computes, because OpenMP keeps it for each thread.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The libtorch that tch 0.26 is made for: `TORCH_VERSION` in torch-sys 0.26.0, build.rs.
pub const LIBTORCH_VERSION: &str = "2.13.0";

/// What this process was configured for; libtorch takes the number of inter-op threads only once.
static CONFIGURED: OnceLock<NonZeroUsize> = OnceLock::new();

/// Why libtorch cannot be used as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThreadError {
    /// Configured before, for another number.
    #[error(
        "libtorch already computes with {set} threads in this process and cannot change to {asked}; start another process"
    )]
    AlreadySet {
        /// The number in force.
        set: NonZeroUsize,
        /// The number asked for.
        asked: NonZeroUsize,
    },
    /// Libtorch uses another number than it was told.
    #[error(
        "libtorch computes with {found} {pool} threads after it was told {expected}; \
         unset OMP_NUM_THREADS and MKL_NUM_THREADS, and compute nothing before the number is set"
    )]
    NotHeeded {
        /// Which of libtorch's two pools.
        pool: &'static str,
        /// The number it was told.
        expected: NonZeroUsize,
        /// The number it uses.
        found: i32,
    },
    /// Another libtorch was found at run time than the program was built for.
    #[error(
        "libtorch {found} was loaded from {}, but this program needs {LIBTORCH_VERSION}; \
         run `make setup`, or point LD_LIBRARY_PATH at the lib folder of libtorch {LIBTORCH_VERSION}",
        folder.display()
    )]
    WrongLibtorch {
        /// The version found.
        found: String,
        /// The folder it was loaded from.
        folder: PathBuf,
    },
}

/// Makes libtorch compute with `threads` threads in this process, and checks its version.
///
/// `threads` is the number for one operation; two operations never run at once here, so the inter-op pool
/// has one thread. Asking again for the same number is fine.
///
/// # Errors
/// If another number was set before, libtorch does not heed it, or the library is of the wrong version.
pub fn configure(threads: NonZeroUsize) -> Result<(), ThreadError> {
    check_version()?;
    // Libtorch throws when the inter-op pool is sized twice, so whoever comes first does it while others wait.
    let set = *CONFIGURED.get_or_init(|| {
        if tch::get_num_interop_threads() != 1 {
            tch::set_num_interop_threads(1);
        }
        threads
    });
    if set != threads {
        return Err(ThreadError::AlreadySet { set, asked: threads });
    }
    tch::set_num_threads(i32::try_from(threads.get()).unwrap_or(i32::MAX));
    heeded("inter-op", NonZeroUsize::MIN, tch::get_num_interop_threads())?;
    heeded("intra-op", threads, tch::get_num_threads())
}

/// Makes the configured number hold on the calling thread too, and checks that it does.
///
/// Reading the number is what makes libtorch set up a thread that it has not seen (`lazy_init_num_threads` in
/// ATen/ParallelOpenMP.cpp). Without a call to [`configure`] there is nothing to check.
pub(super) fn adopt() -> Result<(), ThreadError> {
    let found = tch::get_num_threads();
    CONFIGURED.get().map_or(Ok(()), |&threads| heeded("intra-op", threads, found))
}

/// The number of threads that one operation uses on the calling thread.
pub fn in_force() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1)
}

fn heeded(pool: &'static str, expected: NonZeroUsize, found: i32) -> Result<(), ThreadError> {
    if usize::try_from(found) == Ok(expected.get()) {
        Ok(())
    } else {
        Err(ThreadError::NotHeeded { pool, expected, found })
    }
}

/// Compares the libtorch in memory with [`LIBTORCH_VERSION`].
///
/// Libtorch's version is a macro of its headers and no function tells it, so the file `build-version` in the
/// folder above the loaded library is read. Where there is none, nothing is known and nothing is refused.
fn check_version() -> Result<(), ThreadError> {
    match loaded_folder().and_then(|folder| version_in(&folder).map(|found| (folder, found))) {
        Some((folder, found)) if !is_needed(&found) => Err(ThreadError::WrongLibtorch { found, folder }),
        _ => Ok(()),
    }
}

/// The version of the libtorch in memory, where its distribution tells it.
pub fn libtorch_version() -> Option<String> {
    loaded_folder().and_then(|folder| version_in(&folder))
}

/// `2.13.0+cpu` names the build behind the plus sign.
fn is_needed(version: &str) -> bool {
    version.split('+').next() == Some(LIBTORCH_VERSION)
}

fn version_in(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.parent()?.join("build-version")).ok()?;
    Some(text.trim().to_owned())
}

/// The folder from which the dynamic linker took libtorch, by proc(5), `/proc/pid/maps`.
fn loaded_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("/libtorch_cpu.so"))?;
    let path = line.find('/').map(|start| Path::new(&line[start..]))?;
    path.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_set_once_and_holds_on_every_thread() {
        let one = NonZeroUsize::MIN;
        configure(one).unwrap();
        configure(one).unwrap();
        let two = NonZeroUsize::new(2).unwrap();
        assert_eq!(configure(two), Err(ThreadError::AlreadySet { set: one, asked: two }));
        std::thread::spawn(|| assert_eq!((adopt(), in_force()), (Ok(()), 1))).join().unwrap();
    }

    #[test]
    fn another_libtorch_is_named() {
        assert!(is_needed("2.13.0+cpu") && is_needed("2.13.0") && !is_needed("2.12.1+cpu"));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("build-version"), "2.12.1+cpu\n").unwrap();
        assert_eq!(version_in(&folder.path().join("lib")).as_deref(), Some("2.12.1+cpu"));
        assert_eq!(check_version(), Ok(()), "the one in memory is the right one");
    }
}
