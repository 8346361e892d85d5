//! How much memory the process uses and how much it may use.

use std::path::{Path, PathBuf};

use super::sysfs;

/// Linux reports pages; 4 KiB on every board that runs us, and only ever off by a constant factor.
const PAGE: u64 = 4096;

/// A cgroup of version 1 without a limit says almost 2^63; no machine has 2^50 bytes.
const NO_LIMIT: f64 = (1u64 << 50) as f64;

/// Resident memory of this process; 0 where the system does not say.
pub fn resident_bytes() -> u64 {
    resident_bytes_of(Path::new("/proc"))
}

/// Resident memory of this process, by the files below `proc_root`; 0 where the system does not say.
pub(super) fn resident_bytes_of(proc_root: &Path) -> u64 {
    let text = sysfs::text(&proc_root.join("self/statm")).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).map_or(0, |pages| pages * PAGE)
}

/// The lowest of: what was `stated`, the limits of the process's cgroups, the machine's memory. 0 where nothing is known.
pub(super) fn limit_bytes(sysfs_root: &Path, proc_root: &Path, stated: Option<u64>) -> u64 {
    let of_cgroups = cgroup_files(sysfs_root, proc_root).into_iter().filter_map(|file| sysfs::number(&file));
    let of_cgroups = of_cgroups.filter(|&bytes| bytes > 0.0 && bytes < NO_LIMIT).map(|bytes| bytes as u64);
    of_cgroups.chain(stated).chain(machine_bytes(proc_root)).min().unwrap_or(0)
}

/// The limits of the process's cgroup and of those around it, in both versions.
///
/// Inside a container the own cgroup is the root that can be seen, whatever `self/cgroup` calls it.
fn cgroup_files(sysfs_root: &Path, proc_root: &Path) -> Vec<PathBuf> {
    let root = sysfs_root.join("fs/cgroup");
    let text = sysfs::text(&proc_root.join("self/cgroup")).unwrap_or_default();
    let mut files = vec![root.join("memory.max"), root.join("memory/memory.limit_in_bytes")];
    for line in text.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (base, file) = match controllers {
            "" => (root.clone(), "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        files.extend(path.ancestors().map(|group| base.join(group).join(file)));
    }
    files
}

fn machine_bytes(proc_root: &Path) -> Option<u64> {
    let text = sysfs::text(&proc_root.join("meminfo"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}
