//! Percentiles, and figures as one line of JSON.

/// The value at `share` of the sorted values; 0 of none.
pub fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or(0.0)
}

/// Figures by name, in the order in which they were put.
#[derive(Default)]
pub struct Figures(Vec<(String, f64)>);

impl Figures {
    pub fn put(&mut self, name: &str, value: f64) {
        self.0.push((name.to_owned(), if value.is_finite() { value } else { 0.0 }));
    }

    /// `NAME_p50`, `NAME_p95`, `NAME_p99` and `NAME_max`.
    pub fn spread(&mut self, name: &str, mut values: Vec<f64>) {
        for (suffix, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)] {
            let value = percentile(&mut values, share);
            self.put(&format!("{name}_{suffix}"), value);
        }
    }

    pub fn json(&self) -> String {
        let members: Vec<String> = self.0.iter().map(|(name, value)| format!("\"{name}\": {value:.4}")).collect();
        format!("{{{}}}", members.join(", "))
    }
}
