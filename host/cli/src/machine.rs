//! What this machine has.

use tidemill_plan::Machine;

/// Cores that this process may use, and physical memory.
pub(crate) fn this_machine() -> Machine {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cpus_milli = u32::try_from(cores).unwrap_or(u32::MAX).saturating_mul(1000);
    let info = rustix::system::sysinfo();
    let memory_bytes = info.totalram.saturating_mul(u64::from(info.mem_unit));
    Machine { cpus_milli, memory_bytes }
}

/// As the system calls this machine.
pub(crate) fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
