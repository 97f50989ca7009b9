//! What the kernel says of a process.

use std::fs;

/// One reading.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Processor time in microseconds: user and system.
    pub cpu: f64,
    pub user: f64,
    /// Of the threads that live: a thread that ends takes its count with it.
    pub switches: u64,
    pub threads: u64,
    pub rss_kb: u64,
    pub descriptors: u64,
}

/// The clock ticks of /proc a second; Linux shows 100 to user space on every architecture in use.
const TICK_US: f64 = 10_000.0;

pub fn read(pid: u32) -> Reading {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may contain anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |n: usize| fields.get(n - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    let (user, system) = (field(14) as f64 * TICK_US, field(15) as f64 * TICK_US);
    Reading {
        cpu: user + system,
        user,
        switches: switches(pid),
        threads: field(20),
        rss_kb: line(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default(), "VmRSS:"),
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count() as u64),
    }
}

fn switches(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    tasks
        .flatten()
        .map(|task| {
            let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
            line(&status, "voluntary_ctxt_switches:") + line(&status, "nonvoluntary_ctxt_switches:")
        })
        .sum()
}

fn line(text: &str, name: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found.and_then(|rest| rest.split_whitespace().next()).and_then(|value| value.parse().ok()).unwrap_or(0)
}
