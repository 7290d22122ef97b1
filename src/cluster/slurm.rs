//! A load as a batch script for Slurm: one job, of which each task is a shard, and whose last step puts the shards together.

use std::fmt::Write as _;

use super::shell::quote;
use super::{Spread, mebibytes};

/// A load, as one job of a Slurm cluster is to carry it out.
#[derive(Clone, Debug)]
pub struct Slurm {
    pub spread: Spread,
    /// Of the job, and of the folder with its results: letters, digits, `-`, `_` and dots.
    pub name: String,
    /// Shards on each node; they share its ports.
    pub tasks_per_node: u32,
    pub partition: Option<String>,
    pub account: Option<String>,
    /// In minutes; by default what the load and the shards' wait for each other can take.
    pub minutes: Option<u64>,
    /// `chatspec` on the nodes.
    pub program: String,
}

/// The ports at which the first shards of jobs listen: below those of connections that go out, and one for each of a thousand jobs that
/// may share a node.
const BARRIER_PORTS: (u32, u32) = (20_000, 10_000);

/// Where the profile ends in the script: no line of a profile has neither a colon nor a dash.
const END: &str = "END OF PROFILE";

impl Slurm {
    /// The script, for `sbatch`.
    pub fn script(&self) -> String {
        let mut script = String::from("#!/usr/bin/env bash\n");
        for line in self.guide() {
            let _ = writeln!(script, "{}", format!("# {line}").trim_end());
        }
        for option in self.options() {
            let _ = writeln!(script, "#SBATCH {option}");
        }
        let Self { spread, program, .. } = self;
        let shards = spread.sizing.shards;
        let program = quote(program);
        script.push_str("\n# What stands in single quotes here is meant so.\n# shellcheck disable=SC2016\nset -euo pipefail\n");
        for header in &spread.headers {
            let _ = writeln!(script, ": \"${{{}:?export it before sbatch}}\"", header.variable);
        }
        let options: Vec<String> = spread.options("SLURM_PROCID").iter().map(|word| quote(word)).collect();
        let _ = write!(
            script,
            r#"
# Every node has this folder under the same path, as it has the one that sbatch was called in.
results=${{SLURM_SUBMIT_DIR:-$PWD}}/{name}-$SLURM_JOB_ID
mkdir -p "$results/shards"
cat >"$results/{file}" <<'{END}'
{profile}{END}

# The others meet the first shard on the first node, which this script runs on, at a port that no other job of these days begins with.
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=$(scontrol --oneliner show node "${{nodes[0]}}" | sed -nE 's/.* NodeAddr=([^ ]+).*/\1/p')
port=$(({port} + SLURM_JOB_ID % {ports}))
while (exec 3<>"/dev/tcp/$first/$port") 2>/dev/null; do port=$((port + 1)); done

# A shard that is lost ends none of the others; which one it was, merge says. Its number is known to the task alone.
srun --ntasks={shards} --cpus-per-task={cpus} --kill-on-bad-exit=0 --wait=0 --no-kill --output="$results/shard-%t.txt" \
  bash -c 'exec "$@" --json "$0/shard-$SLURM_PROCID.jsonl"' "$results/shards" \
  {program} load "$results/{file}" {options} \
  --barrier-listen "0.0.0.0:$port" --barrier "$first:$port" ||
  echo "at least one shard ended with an error: see $results/shard-*.txt" >&2

exec {program} merge "$results/shards" --out "$results/merged"
"#,
            name = self.name,
            file = spread.file(),
            profile = spread.profile,
            port = BARRIER_PORTS.0,
            ports = BARRIER_PORTS.1,
            cpus = spread.sizing.cores,
            options = options.join(" "),
        );
        script
    }

    fn options(&self) -> Vec<String> {
        let sizing = &self.spread.sizing;
        let mut options = vec![
            format!("--job-name={}", self.name),
            format!("--nodes={}", sizing.shards.div_ceil(self.tasks_per_node)),
            format!("--ntasks={}", sizing.shards),
            format!("--ntasks-per-node={}", self.tasks_per_node),
            format!("--cpus-per-task={}", sizing.cores),
            format!("--mem-per-cpu={}M", mebibytes(sizing.memory.div_ceil(sizing.cores.into()))),
            format!("--time={}", self.minutes.unwrap_or_else(|| self.spread.time_limit().as_secs().div_ceil(60))),
            format!("--output={}-%j.txt", self.name),
            // A lost node loses its shards and not the job, and nothing is played twice.
            "--no-kill".to_owned(),
            "--no-requeue".to_owned(),
        ];
        options.extend(self.partition.iter().map(|partition| format!("--partition={partition}")));
        options.extend(self.account.iter().map(|account| format!("--account={account}")));
        options
    }

    fn guide(&self) -> Vec<String> {
        let mut lines = self.spread.summary();
        let name = &self.name;
        lines.push(format!("Written by chatspec {}. With this text in load.sbatch:", env!("CARGO_PKG_VERSION")));
        lines.push(String::new());
        lines.extend(self.spread.headers.iter().map(|header| format!("  export {}=…   # the header {}", header.variable, header.name)));
        lines.push("  sbatch --wait load.sbatch   # its exit code is that of the whole load".into());
        lines.push(String::new());
        lines.push(format!("The report is in {name}-JOB.txt, all else in {name}-JOB/: merged/ has the whole, shards/ the shards' logs."));
        lines.push("A job that is cancelled or out of time isn't put together; by hand it is:".into());
        lines.push(String::new());
        lines.push(format!("  {} merge {name}-JOB/shards --out {name}-JOB/merged", quote(&self.program)));
        lines.push(String::new());
        lines
    }
}
