//! Whether the process that a run's record names is still there. Linux: the kernel's own account in `/proc`.

/// When a process began, in the kernel's ticks since the machine started; `None` when there is no such process.
pub(crate) fn began(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, began) = parse(&stat)?;
    // Dead, and only waiting for its parent to take notice.
    (!matches!(state, 'Z' | 'X')).then_some(began)
}

pub(crate) fn is_alive(pid: u32, began_then: Option<u64>) -> bool {
    match (began(pid), began_then) {
        (Some(now), Some(then)) => now == then,
        (Some(_), None) => true,
        (None, _) => false,
    }
}

/// State and start of a line of `/proc/PID/stat`. The program's name, in parentheses, may hold anything.
fn parse(stat: &str) -> Option<(char, u64)> {
    /// Field 22 of proc_pid_stat(5); the state, which follows the name, is field 3.
    const STARTTIME_AFTER_STATE: usize = 19;
    let (_, after) = stat.rsplit_once(") ")?;
    let mut fields = after.split(' ');
    let state = fields.next()?.chars().next()?;
    let began = fields.nth(STARTTIME_AFTER_STATE - 1)?.parse().ok()?;
    Some((state, began))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let line = "17 (a) b) S 1 17 17 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 9 9";
        assert_eq!(parse(line), Some(('S', 4242)));
    }

    #[test]
    fn this_process_is_alive_and_another_of_its_number_is_not() {
        let pid = std::process::id();
        let began_at = began(pid).expect("Linux");
        assert!(is_alive(pid, Some(began_at)));
        assert!(is_alive(pid, None));
        assert!(!is_alive(pid, Some(began_at + 1)));
    }
}
