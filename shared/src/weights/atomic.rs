//! Replaces a file as a whole: readers see the old one or the new one, never a half.
//!
//! A disk may fill up or a board lose power while megabytes are written, so they go into a neighbour first,
//! which takes the name only once it is safely on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// Writes a file through `write` and puts it at `path`; what was there before survives any failure.
///
/// # Errors
/// As the system reports them; the half-written neighbour is removed.
pub fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let neighbour = neighbour(path)?;
    // A neighbour that is there was left by a process of the same number that died.
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&neighbour)?;
    let done = fill(file, write).and_then(|()| fs::rename(&neighbour, path));
    if done.is_err() {
        // The first failure is the one to report; a file that will not go is no second reason.
        let _ = fs::remove_file(&neighbour);
        return done;
    }
    // Without this the new name itself could be lost with the power.
    File::open(folder(path))?.sync_all()
}

fn fill(file: File, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    write(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn neighbour(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let hidden = format!(".{}.{}.part", name.to_string_lossy(), std::process::id());
    Ok(folder(path).join(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_file_survives_a_full_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights");
        replace(&path, |file| file.write_all(b"first")).unwrap();
        let full = replace(&path, |file| {
            file.write_all(b"half of the sec")?;
            Err(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(full.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
    }
}
