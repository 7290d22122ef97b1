//! Whether the generator's own figures can be believed: a pure judgement of what it did to itself while it loaded the target.

use std::time::Duration;

use super::sampler::{ThreadShare, Usage, share};
use crate::event::{BUSY, Blame, ErrorCount, Health, LATE, LOOP_LAG, Trust, VERY_LATE, millis};
use crate::stats::Durations;

/// The share of sends that may be late. Beyond it the 99th percentile from the intended instant holds the generator's delay too.
pub const LATE_SENDS: f64 = 0.01;

/// The share of sends that may be very late. Beyond it even the 95th percentile is the generator's.
pub const VERY_LATE_SENDS: f64 = 0.05;

/// The share of the plan that must have been sent, but for the target's doing. Below it the target had another load than was asked for.
pub const SENT: f64 = 0.98;

/// The share of the time in which the control group may be kept from running. It is kept so for tens of milliseconds at a time, so this
/// share of all that is due is late: the limits are those of the sends.
pub const THROTTLED: f64 = LATE_SENDS;
pub const HEAVILY_THROTTLED: f64 = VERY_LATE_SENDS;

/// The share of attempts that this machine may refuse: as much as may be missing of the plan.
pub const REFUSED: f64 = 1.0 - SENT;

/// The share of the machine's memory that must be left. Below it the system takes back pages that are in use, and stalls who needs them.
pub const MEMORY_LEFT: f64 = 0.05;

/// The fewest events that make a state of the generator: one or two hiccups in a short run are seen in its maximum and say no more.
pub const FEWEST: u64 = 3;

/// The share of the time that a thread may be ready to run while other work has its core. A second thread that wants the same core all the
/// time takes half of it; in a closed load, where nothing is due and so nothing late, that shows nowhere else.
pub const STARVED: f64 = 0.4;

/// The share of the time that a thread may wait for a core before that is named as the cause of something else.
const WAITED: f64 = 0.05;

/// What was seen of the generator. Counts are of the phases that count.
#[derive(Clone, Debug, Default)]
pub struct HealthInput<'a> {
    /// Messages that were due; `None` in a closed load.
    pub planned: Option<u64>,
    pub sends: u64,
    /// Of them, those sent more than `LATE` after their instant.
    pub sends_late: u64,
    /// Of them, those sent more than `VERY_LATE` after their instant.
    pub sends_very_late: u64,
    /// Messages that were due and never sent, since the generator didn't come to it.
    pub unsent: u64,
    /// How long each thread was away from its sockets, one histogram a thread.
    pub loop_lags: Vec<Durations>,
    pub usage: Usage,
    /// The soft limit; `None` where there is none.
    pub descriptor_limit: Option<u64>,
    /// Connections, requests and messages that were begun, in the whole run.
    pub attempts: u64,
    /// All errors of the run.
    pub errors: &'a [ErrorCount],
}

#[derive(Clone, Debug, PartialEq)]
struct Reason {
    trust: Trust,
    text: String,
}

impl Reason {
    fn degraded(text: String) -> Option<Self> {
        Some(Self { trust: Trust::Degraded, text })
    }

    fn invalid(text: String) -> Option<Self> {
        Some(Self { trust: Trust::Invalid, text })
    }
}

/// Judges a run's generator: the trust is that of the worst reason, and the gravest reason comes first.
pub fn judge(input: &HealthInput<'_>) -> Health {
    let rules = [unsent, late, refused, throttled, loop_lag, busy, memory];
    let mut reasons: Vec<Reason> = rules.iter().filter_map(|rule| rule(input)).collect();
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.trust));
    let usage = &input.usage;
    Health {
        trust: reasons.first().map_or(Trust::Trusted, |reason| reason.trust),
        reasons: reasons.into_iter().map(|reason| reason.text).collect(),
        sends: input.sends,
        sends_late: input.sends_late,
        sends_very_late: input.sends_very_late,
        loop_lag_p99_ms: input.loop_lags.iter().map(|lags| millis(p99(lags))).collect(),
        cpu: usage.threads.iter().map(|thread| (share(thread.ran, usage.wall) * 1e4).round() / 1e4).collect(),
        cpu_seconds: usage.process.as_secs_f64(),
        throttled_ms: millis(usage.throttled),
        peak_memory_bytes: usage.peak_memory_bytes,
        peak_descriptors: usage.peak_descriptors,
        descriptor_limit: input.descriptor_limit.unwrap_or(u64::MAX),
    }
}

fn p99(lags: &Durations) -> Duration {
    Duration::from_micros(lags.value_at_quantile(0.99))
}

fn of(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 10.0 { format!("{percent:.0} %") } else { format!("{percent:.2} %") }
}

fn ms(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}

fn unsent(input: &HealthInput<'_>) -> Option<Reason> {
    let due = input.planned.unwrap_or(input.sends + input.unsent);
    let missing = of(input.unsent, due);
    if input.unsent < FEWEST || missing <= 1.0 - SENT {
        return None;
    }
    Reason::invalid(format!(
        "{} of the {due} messages of the plan ({}) were never sent, since the generator didn't come to it (limit {}): the target had less to do \
         than was asked for. Lower the rate, give more --threads, or share the plan between machines with --shard.{}",
        input.unsent,
        percent(missing),
        percent(1.0 - SENT),
        cause(input)
    ))
}

fn late(input: &HealthInput<'_>) -> Option<Reason> {
    let (late, very_late) = (of(input.sends_late, input.sends), of(input.sends_very_late, input.sends));
    if input.sends_very_late >= FEWEST && very_late > VERY_LATE_SENDS {
        return Reason::invalid(format!(
            "{} of {} messages ({}) were sent more than {} late (limit {}): latencies from the intended instant are the generator's, not the \
             target's. Lower the rate, give more --threads, or give the generator cores that nothing else uses.{}",
            input.sends_very_late,
            input.sends,
            percent(very_late),
            ms(VERY_LATE),
            percent(VERY_LATE_SENDS),
            cause(input)
        ));
    }
    if input.sends_late < FEWEST || late <= LATE_SENDS {
        return None;
    }
    Reason::degraded(format!(
        "{} of {} messages ({}) were sent more than {} late (limit {}): the 99th percentiles from the intended instant hold the generator's delay \
         too, the service times don't. Lower the rate, give more --threads, or give the generator cores that nothing else uses.{}",
        input.sends_late,
        input.sends,
        percent(late),
        ms(LATE),
        percent(LATE_SENDS),
        cause(input)
    ))
}

/// What this machine refused, above all a descriptor or a port.
fn refused(input: &HealthInput<'_>) -> Option<Reason> {
    let local = || input.errors.iter().filter(|error| error.blame == Blame::Local);
    let count: u64 = local().map(|error| error.count).sum();
    if count == 0 {
        return None;
    }
    let mut kinds: Vec<String> = local().map(|error| format!("{} {} ({})", error.count, error.what, error.doing)).collect();
    kinds.sort();
    let mut mends: Vec<&str> = local().filter_map(|error| error.mend.as_deref()).collect();
    mends.sort_unstable();
    mends.dedup();
    let refused = of(count, input.attempts.max(count));
    let told = format!("this machine refused {count} of {} attempts: {}", input.attempts.max(count), kinds.join(", "));
    let mend = if mends.is_empty() { "`chatspec doctor` says what is short.".to_owned() } else { mends.join(" ") };
    if refused > REFUSED {
        Reason::invalid(format!(
            "{told} ({}, limit {}): the target had less to do than was asked for. {mend}",
            percent(refused),
            percent(REFUSED)
        ))
    } else {
        Reason::degraded(format!("{told} ({}, limit none): so many fewer clients were there than the plan has. {mend}", percent(refused)))
    }
}

fn throttled(input: &HealthInput<'_>) -> Option<Reason> {
    let throttled = share(input.usage.throttled, input.usage.wall);
    if throttled <= THROTTLED {
        return None;
    }
    let limit = if throttled > HEAVILY_THROTTLED { HEAVILY_THROTTLED } else { THROTTLED };
    let text = format!(
        "the control group was kept from running for {} of the time (limit {}): all that was due then is late, by the generator's doing. Raise the \
         container's CPU quota, or give the generator fewer --threads than the quota has cores.",
        percent(throttled),
        percent(limit)
    );
    if throttled > HEAVILY_THROTTLED { Reason::invalid(text) } else { Reason::degraded(text) }
}

fn loop_lag(input: &HealthInput<'_>) -> Option<Reason> {
    let (thread, lag) = input.loop_lags.iter().map(p99).enumerate().max_by_key(|(_, lag)| *lag)?;
    if lag <= LOOP_LAG {
        return None;
    }
    let name = input.usage.threads.get(thread).map_or_else(|| format!("thread {thread}"), |thread| thread.name.clone());
    Reason::degraded(format!(
        "{name} was away from its sockets for {:.1} ms or more at the 99th percentile (limit {}): what arrived meanwhile looks that much slower. \
         Give more --threads, fewer clients or a lower rate.{}",
        lag.as_secs_f64() * 1000.0,
        ms(LOOP_LAG),
        cause(input)
    ))
}

/// Whether a thread wanted its core for too much of the time: what arrives waits as long behind other work as behind the thread's own.
fn busy(input: &HealthInput<'_>) -> Option<Reason> {
    let wall = input.usage.wall;
    let waited = |thread: &ThreadShare| share(thread.waited.unwrap_or_default(), wall);
    let wanted = |thread: &ThreadShare| share(thread.ran + thread.waited.unwrap_or_default(), wall);
    let told = |thread: &ThreadShare| {
        let waited = if waited(thread) > WAITED { format!(" and waited {} for its core", percent(waited(thread))) } else { String::new() };
        format!("{} was busy {} of the time{waited}", thread.name, percent(share(thread.ran, wall)))
    };
    let starved: Vec<String> = input.usage.threads.iter().filter(|thread| waited(thread) > STARVED).map(told).collect();
    if !starved.is_empty() {
        return Reason::invalid(format!(
            "{} (limit {}): other work has its core, and what arrives is timed when that lets go of it. End the other work, or give the generator \
             cores that nothing else uses.",
            starved.join(", "),
            percent(STARVED)
        ));
    }
    let too_busy: Vec<String> = input.usage.threads.iter().filter(|thread| wanted(thread) > BUSY).map(told).collect();
    if too_busy.is_empty() {
        return None;
    }
    Reason::degraded(format!(
        "{} (limit {}): what arrives waits for the generator before it is timed, so the target may be faster than it looks. Give more --threads where \
         there are cores, or lower the rate.",
        too_busy.join(", "),
        percent(BUSY)
    ))
}

fn memory(input: &HealthInput<'_>) -> Option<Reason> {
    let left = input.usage.least_available.filter(|left| *left < MEMORY_LEFT)?;
    Reason::degraded(format!(
        "only {} of this machine's memory was left (limit {}): pages are taken back and fetched again, and whoever needs them waits. Take fewer \
         clients, or end what else uses memory.",
        percent(left),
        percent(MEMORY_LEFT)
    ))
}

/// Why a thread could not do its work in time, where the system knows it.
fn cause(input: &HealthInput<'_>) -> String {
    let waited = input.usage.threads.iter().filter_map(|thread| {
        let waited = share(thread.waited?, input.usage.wall);
        (waited > WAITED).then(|| format!("{} {}", thread.name, percent(waited)))
    });
    let waited: Vec<String> = waited.collect();
    if waited.is_empty() {
        return String::new();
    }
    format!(" Its threads were ready to run and waited for a core that other work had: {} of the time.", waited.join(", "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::{durations, record};

    fn lags(micros: &[(u64, u64)]) -> Durations {
        let mut lags = durations();
        for (value, count) in micros {
            for _ in 0..*count {
                record(&mut lags, Duration::from_micros(*value));
            }
        }
        lags
    }

    fn thread(ran_ms: u64, waited_ms: u64) -> ThreadShare {
        ThreadShare { name: "load-0".into(), ran: Duration::from_millis(ran_ms), waited: Some(Duration::from_millis(waited_ms)) }
    }

    /// Ten seconds in which nothing is wrong.
    fn fine() -> HealthInput<'static> {
        HealthInput {
            planned: Some(10_000),
            sends: 10_000,
            sends_late: 100,
            sends_very_late: 90,
            unsent: 0,
            loop_lags: vec![lags(&[(100, 990), (9_000, 10)])],
            usage: Usage {
                wall: Duration::from_secs(10),
                threads: vec![thread(8_400, 100)],
                process: Duration::from_secs(9),
                least_available: Some(0.5),
                throttled: Duration::from_millis(99),
                ..Usage::default()
            },
            descriptor_limit: Some(1024),
            attempts: 10_000,
            errors: &[],
        }
    }

    fn local(count: u64) -> ErrorCount {
        ErrorCount {
            doing: "connect".into(),
            blame: Blame::Local,
            what: "EMFILE".into(),
            count,
            first_ms: 3.0,
            mend: Some("Raise the limit: ulimit -n 20000.".into()),
        }
    }

    #[test]
    fn what_stays_within_the_limits_is_trusted() {
        let health = judge(&fine());
        assert_eq!((health.trust, health.reasons.as_slice()), (Trust::Trusted, [].as_slice()));
        assert_eq!((health.cpu.as_slice(), health.cpu_seconds), ([0.84].as_slice(), 9.0));
    }

    /// What changes the input, the trust that is left, and what the reason must say.
    type Case = (fn(&mut HealthInput<'static>), Trust, &'static [&'static str]);

    #[test]
    fn each_limit_takes_trust_and_says_its_figure_its_limit_and_the_way_out() {
        let cases: [Case; 11] = [
            (|input| input.sends_late = 101, Trust::Degraded, &["101 of 10000", "1.01 %", "10 ms", "limit 1.00 %", "--threads"]),
            (|input| input.sends_very_late = 501, Trust::Invalid, &["501 of 10000", "5.01 %", "50 ms", "limit 5.00 %"]),
            (|input| input.unsent = 201, Trust::Invalid, &["201 of the 10000", "2.01 %", "limit 2.00 %", "--shard"]),
            (|input| input.loop_lags = vec![lags(&[(100, 900), (12_000, 100)])], Trust::Degraded, &["load-0", "12.0 ms", "limit 10 ms"]),
            (|input| input.usage.threads = vec![thread(8_600, 0)], Trust::Degraded, &["load-0 was busy 86 %", "limit 85 %"]),
            (
                |input| input.usage.threads = vec![thread(6_000, 3_000)],
                Trust::Degraded,
                &["load-0 was busy 60 % of the time and waited 30 % for its core", "limit 85 %"],
            ),
            (
                |input| input.usage.threads = vec![thread(4_900, 4_900)],
                Trust::Invalid,
                &["waited 49 % for its core", "limit 40 %", "other work"],
            ),
            (|input| input.usage.throttled = Duration::from_millis(200), Trust::Degraded, &["2.00 %", "limit 1.00 %", "quota"]),
            (|input| input.usage.throttled = Duration::from_millis(600), Trust::Invalid, &["6.00 %", "limit 5.00 %", "quota"]),
            (|input| input.usage.least_available = Some(0.03), Trust::Degraded, &["3.00 %", "limit 5.00 %"]),
            (
                |input| {
                    input.sends_very_late = 900;
                    input.usage.threads = vec![thread(1_000, 3_000)];
                },
                Trust::Invalid,
                &["waited for a core that other work had: load-0 30 % of the time"],
            ),
        ];
        for (change, trust, says) in cases {
            let mut input = fine();
            change(&mut input);
            let health = judge(&input);
            assert_eq!(health.trust, trust, "{:?}", health.reasons);
            let [reason] = health.reasons.as_slice() else { panic!("one reason: {:?}", health.reasons) };
            says.iter().for_each(|part| assert!(reason.contains(part), "{reason}\nlacks {part}"));
        }
    }

    #[test]
    fn what_this_machine_refused_counts_by_how_much_it_touched() {
        let few = [local(3)];
        let health = judge(&HealthInput { errors: &few, ..fine() });
        assert_eq!(health.trust, Trust::Degraded);
        assert!(health.reasons[0].contains("3 of 10000 attempts: 3 EMFILE (connect)"), "{:?}", health.reasons);
        assert!(health.reasons[0].contains("ulimit -n 20000"), "{:?}", health.reasons);

        let many = [local(201)];
        assert_eq!(judge(&HealthInput { errors: &many, ..fine() }).trust, Trust::Invalid);
        let server = [ErrorCount { blame: Blame::Server, ..local(5_000) }];
        assert_eq!(judge(&HealthInput { errors: &server, ..fine() }).trust, Trust::Trusted, "the target's errors are not the generator's");
    }

    #[test]
    fn a_hiccup_in_a_short_run_takes_no_trust() {
        let input = HealthInput { planned: Some(20), sends: 20, sends_late: 2, sends_very_late: 2, unsent: 2, attempts: 20, ..fine() };
        assert_eq!(judge(&input).trust, Trust::Trusted);
    }

    #[test]
    fn a_closed_load_and_a_run_in_which_nothing_happened_are_judged_too() {
        assert_eq!(judge(&HealthInput { planned: None, ..fine() }).trust, Trust::Trusted);
        assert_eq!(judge(&HealthInput { planned: None, unsent: 9_000, ..fine() }).trust, Trust::Invalid);
        assert_eq!(judge(&HealthInput::default()).trust, Trust::Trusted);
    }

    #[test]
    fn the_gravest_reason_comes_first() {
        let input = HealthInput { loop_lags: vec![lags(&[(12_000, 100)])], unsent: 5_000, ..fine() };
        let health = judge(&input);
        assert_eq!((health.trust, health.reasons.len()), (Trust::Invalid, 2));
        assert!(health.reasons[0].contains("never sent"), "{:?}", health.reasons);
    }

    proptest! {
        #[test]
        fn a_generator_that_did_worse_is_never_trusted_more(late in 0_u64..10_000, unsent in 0_u64..10_000, throttled in 0_u64..10_000, more in 0_u64..5_000) {
            let with = |late: u64, unsent: u64, throttled: u64| {
                let late = late.min(10_000);
                let mut input = HealthInput { sends_late: late, sends_very_late: late, unsent, ..fine() };
                input.usage.throttled = Duration::from_millis(throttled);
                judge(&input).trust
            };
            let before = with(late, unsent, throttled);
            prop_assert!(with(late + more, unsent, throttled) >= before);
            prop_assert!(with(late, unsent + more, throttled) >= before);
            prop_assert!(with(late, unsent, throttled + more) >= before);
        }
    }
}
