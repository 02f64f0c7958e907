//! Latencies in fixed memory: a log-linear histogram of nanoseconds, exact to about 3 %.
//!
//! In: samples. Out: quantiles and the true maximum. It keeps no sample and does not know what was measured.

const SUB_BITS: u32 = 5;
const BUCKETS: usize = (64 - SUB_BITS as usize) << SUB_BITS;

/// Counts of samples, in buckets that grow with the value.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS + (1 << SUB_BITS)],
            total: 0,
            max: 0,
        }
    }
}

impl Histogram {
    /// Records one value, in nanoseconds.
    #[inline]
    pub fn record(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
        self.total += 1;
        self.max = self.max.max(nanoseconds);
    }

    /// Adds everything that another one has recorded.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.max = self.max.max(other.max);
    }

    /// The summary of everything recorded, or `None` when nothing was.
    pub fn latency(&self) -> Option<Latency> {
        (self.total > 0).then(|| Latency {
            p50: self.quantile(0.50),
            p99: self.quantile(0.99),
            max: self.max,
        })
    }

    fn quantile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return upper_bound(index).min(self.max);
            }
        }
        self.max
    }
}

/// Quantiles of a histogram, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Half of the samples took no longer.
    pub p50: u64,
    /// 99 % of the samples took no longer.
    pub p99: u64,
    /// The longest sample.
    pub max: u64,
}

fn bucket(value: u64) -> usize {
    let top = 63 - (value | 1).leading_zeros();
    if top < SUB_BITS {
        return value as usize;
    }
    let shift = top - SUB_BITS;
    (((shift + 1) as usize) << SUB_BITS) + ((value >> shift) as usize & ((1 << SUB_BITS) - 1))
}

fn upper_bound(index: usize) -> u64 {
    let (group, sub) = (index >> SUB_BITS, (index & ((1 << SUB_BITS) - 1)) as u64);
    if group == 0 {
        return sub;
    }
    let shift = (group - 1) as u32;
    let low = ((1u64 << SUB_BITS) + sub) << shift;
    low + (1u64 << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_that_ends_within_a_thirtieth_above_it() {
        for value in (0..63)
            .map(|shift| 1u64 << shift)
            .flat_map(|v| [v - 1, v, v + v / 3])
        {
            let bound = upper_bound(bucket(value));
            assert!(
                bound >= value && bound - value <= value / 30 + 1,
                "{value} -> {bound}"
            );
        }
        bucket(u64::MAX);
    }

    #[test]
    fn quantiles_of_a_ramp_are_where_they_belong() {
        let mut histogram = Histogram::default();
        (1..=1000u64).for_each(|value| histogram.record(value * 1000));
        let latency = histogram.latency().unwrap();
        assert!((485_000..=520_000).contains(&latency.p50), "{latency:?}");
        assert!((980_000..=1_000_000).contains(&latency.p99), "{latency:?}");
        assert_eq!(latency.max, 1_000_000);
    }

    #[test]
    fn nothing_recorded_is_no_latency() {
        assert!(Histogram::default().latency().is_none());
    }
}
