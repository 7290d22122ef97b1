//! A load as manifests for Kubernetes: an Indexed Job, of which each pod is a shard, and what it needs.

use std::time::Duration;

use serde_json::{Value, json};

use super::shell::quote;
use super::{HeaderFrom, Spread, mebibytes};
use crate::report::figures::plural;

/// The oldest version of Kubernetes that takes the manifests: the first with a stable `backoffLimitPerIndex`.
pub const VERSION: &str = "1.33";

/// The longest name of a Job: its pods' host names have a dash and an index of up to four digits more, and at most 63 characters.
pub const LONGEST_NAME: usize = 58;

/// Where the first shard listens, below the ports of connections that go out.
const BARRIER_PORT: u16 = 7700;

/// The ports of connections that go out of a pod, both ends included. The system's own range has 28,232.
pub const PORTS: (u16, u16) = (10_240, 65_535);

/// Whom the program runs as: a number that no machine has for a person.
const USER: u32 = 65_532;

/// After this time a finished Job is deleted, with its pods and their logs.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What of a pod's log is kept, unless the cluster is told otherwise (`containerLogMaxSize`): in bytes.
const KEPT_LOG: u64 = 10 << 20;

/// What a shard logs for each second of a load, in bytes: 2 KiB were measured with 250 clients, and up to 7 KiB with 2,000 on a busy machine.
const LOG_BYTES: u64 = 8 << 10;

/// A load, as one cluster is to carry it out.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    pub spread: Spread,
    /// Of the Job and the Service: a DNS label that begins with a letter, of at most [`LONGEST_NAME`] characters.
    pub name: String,
    /// Without one, that of whoever applies the manifests.
    pub namespace: Option<String>,
    pub image: String,
    /// The Secret by which the image may be pulled.
    pub image_pull_secret: Option<String>,
    pub results: Results,
}

/// Where the shards leave their logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Results {
    /// On standard output, from where the cluster takes them: nothing is needed, but a long log isn't kept whole.
    Stdout,
    /// In a volume that all pods can write to, by the name of its claim.
    Claim(String),
    /// The same, with a claim that is made for it.
    NewClaim {
        /// As Kubernetes writes it, such as `10Gi`.
        size: String,
        class: Option<String>,
    },
}

impl Kubernetes {
    /// The manifests as YAML, with comments on what to do with them.
    pub fn manifests(&self) -> String {
        let mut text: String = self.guide().into_iter().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
        for (comment, manifest) in self.documents() {
            text.push_str("---\n");
            comment.lines().for_each(|line| text.push_str(&format!("# {line}\n")));
            text.push_str(&yaml(&manifest));
        }
        text
    }

    /// The manifests in their order, each with what it is for.
    fn documents(&self) -> Vec<(&'static str, Value)> {
        let mut documents = vec![
            ("The profile, complete and with its seed: each shard makes the same plan of it.", self.profile()),
            ("By it the first shard has a name in DNS, under which the others meet it.", self.service()),
        ];
        if let Results::NewClaim { size, class } = &self.results {
            documents.push(("Where all shards leave their logs.", self.claim(size, class.as_deref())));
        }
        documents.push((
            "A pod for each shard. A shard that ends early is lost and not tried again, since the others would be gone on without it; and it takes\n\
             none of them with it, as it would by a backoffLimit of 0.",
            self.load(),
        ));
        if self.volume_claim().is_some() {
            documents.push(("Puts the shards together, once it is told to.", self.merge()));
        }
        documents
    }

    fn metadata(&self, suffix: &str) -> Value {
        let mut metadata = json!({"name": format!("{}{suffix}", self.name)});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
        }
        metadata["labels"] = self.labels();
        metadata
    }

    fn labels(&self) -> Value {
        json!({"app.kubernetes.io/name": "chatspec", "app.kubernetes.io/instance": self.name})
    }

    /// The labels that the Job itself gives its pods.
    fn of_the_job(&self) -> Value {
        json!({"batch.kubernetes.io/job-name": self.name})
    }

    fn volume_claim(&self) -> Option<String> {
        match &self.results {
            Results::Stdout => None,
            Results::Claim(name) => Some(name.clone()),
            Results::NewClaim { .. } => Some(format!("{}-results", self.name)),
        }
    }

    fn results_volume(&self) -> Option<Volume> {
        let source = ("persistentVolumeClaim", json!({"claimName": self.volume_claim()?}));
        Some(Volume { name: "results", path: "/results", read_only: false, source })
    }

    fn profile(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": self.metadata("-profile"),
            "immutable": true,
            "data": {self.spread.file(): self.spread.profile},
        })
    }

    fn service(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self.metadata(""),
            "spec": {
                "clusterIP": "None",
                "publishNotReadyAddresses": true,
                "selector": self.of_the_job(),
                "ports": [{"name": "barrier", "port": BARRIER_PORT, "targetPort": "barrier"}],
            },
        })
    }

    fn claim(&self, size: &str, class: Option<&str>) -> Value {
        let mut claim = json!({
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": self.metadata("-results"),
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": size}}},
        });
        if let Some(class) = class {
            claim["spec"]["storageClassName"] = json!(class);
        }
        claim
    }

    fn load(&self) -> Value {
        let sizing = &self.spread.sizing;
        let mut args = vec!["load".to_owned(), format!("/profile/{}", self.spread.file())];
        args.extend(self.spread.options("JOB_COMPLETION_INDEX"));
        args.extend(["--barrier-listen".to_owned(), format!("0.0.0.0:{BARRIER_PORT}")]);
        args.extend(["--barrier".to_owned(), format!("{name}-0.{name}:{BARRIER_PORT}", name = self.name)]);
        let mut args: Vec<String> = args.iter().map(|word| verbatim(word)).collect();
        // What is written to the terminal goes into the same log, and would tear its lines.
        match &self.results {
            Results::Stdout => args.extend(["-qq", "--json", "-"].map(String::from)),
            _ => args.extend(["--out".to_owned(), format!("/results/{}/shard-$(JOB_COMPLETION_INDEX)", self.name)]),
        }
        let amounts = json!({"cpu": sizing.cores.to_string(), "memory": format!("{}Mi", mebibytes(sizing.memory))});
        let mut volumes = vec![Volume {
            name: "profile",
            path: "/profile",
            read_only: true,
            source: ("configMap", json!({"name": format!("{}-profile", self.name)})),
        }];
        volumes.extend(self.results_volume());
        let mut container = self.container("load", &args, &amounts, &volumes);
        container["ports"] = json!([{"name": "barrier", "containerPort": BARRIER_PORT}]);
        if !self.spread.headers.is_empty() {
            container["env"] = self.spread.headers.iter().map(|header| self.variable(header)).collect();
        }
        let mut pod = self.pod(container, &volumes);
        pod["subdomain"] = json!(self.name);
        pod["securityContext"]["sysctls"] = json!([{"name": "net.ipv4.ip_local_port_range", "value": format!("{} {}", PORTS.0, PORTS.1)}]);
        pod["topologySpreadConstraints"] = json!([{
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": self.of_the_job()},
        }]);
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata(""),
            "spec": {
                "completionMode": "Indexed",
                "completions": sizing.shards,
                "parallelism": sizing.shards,
                "backoffLimitPerIndex": 0,
                "activeDeadlineSeconds": self.deadline().as_secs(),
                "ttlSecondsAfterFinished": KEPT.as_secs(),
                "template": {"metadata": {"labels": self.labels()}, "spec": pod},
            },
        })
    }

    fn merge(&self) -> Value {
        let args = ["merge".to_owned(), format!("/results/{}", self.name), "--out".to_owned(), format!("/results/{}-merged", self.name)];
        let volumes: Vec<Volume> = self.results_volume().into_iter().collect();
        let pod = self.pod(self.container("merge", &args, &json!({"cpu": "1", "memory": "1Gi"}), &volumes), &volumes);
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": self.metadata("-merge"),
            "spec": {
                "suspend": true,
                "backoffLimit": 0,
                "ttlSecondsAfterFinished": KEPT.as_secs(),
                "template": {"metadata": {"labels": self.labels()}, "spec": pod},
            },
        })
    }

    /// A container that needs no right and writes to no file system but the volume's. Requests that are the limits keep its cores its own.
    fn container(&self, name: &str, args: &[String], amounts: &Value, volumes: &[Volume]) -> Value {
        json!({
            "name": name,
            "image": self.image,
            "args": args,
            "resources": {"requests": amounts, "limits": amounts},
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
            "volumeMounts": volumes.iter().map(Volume::mount).collect::<Vec<_>>(),
        })
    }

    fn pod(&self, container: Value, volumes: &[Volume]) -> Value {
        let mut pod = json!({
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": volumes.iter().map(Volume::declared).collect::<Vec<_>>(),
        });
        if self.volume_claim().is_some() {
            pod["securityContext"]["fsGroup"] = json!(USER);
            pod["securityContext"]["fsGroupChangePolicy"] = json!("OnRootMismatch");
        }
        if let Some(secret) = &self.image_pull_secret {
            pod["imagePullSecrets"] = json!([{"name": secret}]);
        }
        pod
    }

    fn variable(&self, header: &HeaderFrom) -> Value {
        json!({"name": header.variable, "valueFrom": {"secretKeyRef": {"name": self.secret(), "key": header.variable}}})
    }

    fn secret(&self) -> String {
        format!("{}-headers", self.name)
    }

    /// Pods may have to wait for machines, so they have once more the time that those who are there wait for them.
    fn deadline(&self) -> Duration {
        self.spread.time_limit() + self.spread.barrier_timeout
    }

    /// What to do with the manifests, for a reader.
    fn guide(&self) -> Vec<String> {
        let namespace = self.namespace.as_ref().map_or_else(String::new, |namespace| format!(" --namespace {}", quote(namespace)));
        let kubectl = |words: &str| format!("  kubectl{namespace} {words}");
        let name = &self.name;
        let mut lines = self.spread.summary();
        lines.push(format!(
            "Written by chatspec {}, for Kubernetes {VERSION} or later. With this text in load.yaml:",
            env!("CARGO_PKG_VERSION")
        ));
        if !self.spread.headers.is_empty() {
            lines.extend(["".into(), "Keep the headers' values where only the shards find them:".into()]);
            let values: Vec<String> = self.spread.headers.iter().map(|header| format!(" --from-literal={}=…", header.variable)).collect();
            lines.push(kubectl(&format!("create secret generic {}{}", self.secret(), values.concat())));
        }
        lines.extend(["".into(), "Start it, and wait until all shards have ended:".into(), "  kubectl apply -f load.yaml".into()]);
        let minutes = self.deadline().as_secs().div_ceil(60);
        lines.push(kubectl(&format!("wait --for=jsonpath='{{.status.conditions[0].status}}'=True --timeout={minutes}m job/{name}")));
        match self.volume_claim() {
            None => self.fetch(&mut lines, &kubectl),
            Some(claim) => {
                lines.extend(["".into(), "Put the shards together, and read what came of it:".into()]);
                lines.push(kubectl(&format!("patch job/{name}-merge --type=merge --patch='{{\"spec\": {{\"suspend\": false}}}}'")));
                // The first condition is that it was suspended.
                lines.push(kubectl(&format!("wait --for=jsonpath='{{.status.conditions[1].status}}'=True job/{name}-merge")));
                lines.push(kubectl(&format!("logs job/{name}-merge")));
                lines.push(format!("The pages are in the folder {name}-merged of the volume of {claim}."));
            }
        }
        let kept = plural(KEPT.as_secs() / 3600, "hour", "hours");
        lines.extend(["".into(), format!("Clean up; the Job and its pods, with their logs, go by themselves after {kept}:")]);
        lines.push("  kubectl delete -f load.yaml".into());
        if !self.spread.headers.is_empty() {
            lines.push(kubectl(&format!("delete secret {}", self.secret())));
        }
        lines
    }

    fn fetch(&self, lines: &mut Vec<String>, kubectl: &impl Fn(&str) -> String) {
        let name = &self.name;
        let last = self.spread.sizing.shards - 1;
        let labels = format!("batch.kubernetes.io/job-name={name},batch.kubernetes.io/job-completion-index=$i");
        lines.extend(["".into(), "Fetch the shards' logs, and put them together; a shard that has none is named as lost:".into()]);
        lines.push(format!("  mkdir {name}"));
        lines.push(format!("  for i in $(seq 0 {last}); do"));
        lines.push(format!("  {} | grep '^{{' > {name}/shard-$i.jsonl", kubectl(&format!("logs --tail=-1 --selector={labels}"))));
        lines.push("  done".into());
        lines.push(format!("  chatspec merge {name} --out {name}-merged"));
        let log = LOG_BYTES * self.spread.duration.as_secs();
        if log > KEPT_LOG {
            lines.push(format!(
                "A shard will log some {} MiB, and {} are kept of a container unless the cluster says otherwise",
                mebibytes(log),
                plural(mebibytes(KEPT_LOG), "MiB", "MiB")
            ));
            lines.push("(containerLogMaxSize): have the logs in a volume, by --volume-claim or --storage.".into());
        }
    }
}

/// A volume of a pod, and where its container has it.
struct Volume {
    name: &'static str,
    path: &'static str,
    read_only: bool,
    /// Its kind, and what belongs to that.
    source: (&'static str, Value),
}

impl Volume {
    fn declared(&self) -> Value {
        let (kind, source) = &self.source;
        json!({"name": self.name, (*kind): source})
    }

    fn mount(&self) -> Value {
        let mut mount = json!({"name": self.name, "mountPath": self.path});
        if self.read_only {
            mount["readOnly"] = json!(true);
        }
        mount
    }
}

/// A word of which Kubernetes takes nothing for a variable of the container's: `$(NAME)` would be one.
fn verbatim(word: &str) -> String {
    word.replace('$', "$$")
}

fn yaml(manifest: &Value) -> String {
    // A folded line is none that can be searched for.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(manifest, options).expect("whatever is JSON can be written as YAML")
}
