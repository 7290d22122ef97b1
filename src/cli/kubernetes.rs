//! `chatspec kubernetes`.

use clap::Args;

use super::load_shape::ShapeArgs;
use super::spread::{SpreadArgs, spread};
use super::target::TargetArgs;
use super::{Ended, Usage};
use crate::cluster::kubernetes::{Kubernetes, LONGEST_NAME, PORTS, Results};
use crate::report::figures::count;

#[derive(Debug, Args)]
pub struct KubernetesArgs {
    /// A profile that chatspec carries, such as `steady-chat`, or a file; without one, the options alone decide
    #[arg(value_name = "PROFILE")]
    profile: Option<String>,
    /// The image with chatspec as its entry point, as the Dockerfile makes it
    #[arg(long, value_name = "IMAGE")]
    image: String,
    /// What the Job and the Service are called; unless given, after the profile
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The namespace; unless given, that of whoever applies the manifests
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Have the results in the volume of this claim, which all nodes can write to (ReadWriteMany), and merged in the cluster
    #[arg(long, value_name = "NAME", conflicts_with = "storage")]
    volume_claim: Option<String>,
    /// The same in a volume of this size that is claimed for it, such as 10Gi
    #[arg(long, value_name = "SIZE")]
    storage: Option<String>,
    /// The class of such a volume
    #[arg(long, value_name = "NAME", requires = "storage")]
    storage_class: Option<String>,
    /// The Secret by which the image may be pulled
    #[arg(long, value_name = "NAME")]
    image_pull_secret: Option<String>,
    #[command(flatten)]
    spread: SpreadArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    shape: ShapeArgs,
}

pub fn run(args: &KubernetesArgs) -> Ended {
    for (option, name) in [("--namespace", &args.namespace), ("--name", &args.name)] {
        name.iter().try_for_each(|name| label(option, name))?;
    }
    let others = [
        ("--volume-claim", &args.volume_claim),
        ("--storage-class", &args.storage_class),
        ("--image-pull-secret", &args.image_pull_secret),
    ];
    others.iter().try_for_each(|(option, name)| name.iter().try_for_each(|name| subdomain(option, name)))?;
    if let Some(size) = &args.storage {
        let digits = size.find(|c: char| !c.is_ascii_digit()).unwrap_or(size.len());
        let is_quantity = size.starts_with(|c: char| ('1'..='9').contains(&c)) && ["Mi", "Gi", "Ti"].contains(&&size[digits..]);
        if !is_quantity {
            return Err(Usage(format!("--storage: `{size}` isn't a size such as 500Mi or 10Gi")).into());
        }
    }
    if args.image.is_empty() || args.image.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Usage(format!("--image: `{}` can't be the name of an image", args.image)).into());
    }
    let spread = spread(args.profile.as_deref(), &args.shape, &args.target, &args.spread, true)?;
    let ports = u64::from(PORTS.1 - PORTS.0) + 1;
    if spread.sizing.ports > ports {
        let (needed, there) = (count(spread.sizing.ports), count(ports));
        return Err(Usage(format!(
            "a shard needs {needed} ports, and a pod has {there} for connections to one target: give more --shards"
        ))
        .into());
    }
    let results = match (&args.volume_claim, &args.storage) {
        (Some(claim), _) => Results::Claim(claim.clone()),
        (None, Some(size)) => Results::NewClaim { size: size.clone(), class: args.storage_class.clone() },
        (None, None) => Results::Stdout,
    };
    let kubernetes = Kubernetes {
        name: args.name.clone().unwrap_or_else(|| name_of(&spread.name)),
        namespace: args.namespace.clone(),
        image: args.image.clone(),
        image_pull_secret: args.image_pull_secret.clone(),
        results,
        spread,
    };
    anstream::print!("{}", kubernetes.manifests());
    Ok(0)
}

/// A name for the load of a profile.
fn name_of(profile: &str) -> String {
    let name: String =
        format!("chatspec-{profile}").chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    name[..name.len().min(LONGEST_NAME)].trim_end_matches('-').to_owned()
}

/// A DNS label, short enough for all names that are made of it.
fn label(option: &str, name: &str) -> anyhow::Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() <= LONGEST_NAME && name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-') {
        return Ok(());
    }
    let form = format!("at most {LONGEST_NAME} small letters, digits and dashes, the first a letter, the last no dash");
    Err(Usage(format!("{option}: `{name}` can't be a name in Kubernetes: {form}")).into())
}

/// Labels with dots between them.
fn subdomain(option: &str, name: &str) -> anyhow::Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |label: &str| !label.is_empty() && label.chars().all(plain) && !label.starts_with('-') && !label.ends_with('-');
    if name.len() <= 253 && name.split('.').all(is_label) {
        return Ok(());
    }
    Err(Usage(format!("{option}: `{name}` can't be a name in Kubernetes: small letters, digits, dashes and dots")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_profile_is_called_the_job_has_a_name() {
        for profile in ["steady-chat", "My Profile_2.x", &"long".repeat(40), "über", "-"] {
            let name = name_of(profile);
            assert!(label("--name", &name).is_ok(), "{profile}: {name}");
        }
    }
}
