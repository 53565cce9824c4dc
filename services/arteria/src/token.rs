//! `arteria token`: a token of the development issuer.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use kit_clock::Clock;
use kit_config::Settings;
use kit_event::UnitId;
use kit_token::{Issuer, Kind};
use uuid::Uuid;

#[derive(clap::Args)]
pub struct Args {
    /// staff, patient, partner or admin.
    #[arg(long)]
    kind: Kind,
    /// A unit that the token is for; may be given several times.
    #[arg(long)]
    unit: Vec<UnitId>,
    /// The patient that a patient token is for.
    #[arg(long)]
    patient: Option<Uuid>,
    /// Who the token is for; opaque. Two subjects never share an idempotency key.
    #[arg(long)]
    subject: Option<String>,
    /// How long it is valid: a number and s, m or h.
    #[arg(long, default_value = "1h", value_parser = read_ttl)]
    ttl: Duration,
}

pub fn run(args: &Args, settings: &Settings) -> Result<()> {
    let issuer = Issuer::open(&settings.keys_dir, settings.production)?;
    let subject = match (&args.subject, args.patient) {
        (Some(subject), _) => subject.clone(),
        (None, Some(patient)) => patient.to_string(),
        (None, None) => format!("dev-{}", args.kind),
    };
    let now = Clock::system().now();
    let token = issuer.issue(args.kind, &subject, &args.unit, args.patient, args.ttl, now)?;
    println!("{token}");
    Ok(())
}

fn read_ttl(text: &str) -> Result<Duration> {
    let Some(unit) = text.chars().last() else { bail!("a lifetime is a number and s, m or h") };
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => bail!("a lifetime is a number and s, m or h, as 30m"),
    };
    let number: u64 =
        text[..text.len() - 1].parse().context("a lifetime is a number and s, m or h, as 30m")?;
    number.checked_mul(seconds).map(Duration::from_secs).context("a lifetime that long has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        assert_eq!(read_ttl("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(read_ttl("1h").unwrap(), Duration::from_hours(1));
        for bad in ["", "1", "h", "1d", "-1h", "1é", "99999999999999999999h"] {
            assert!(read_ttl(bad).is_err(), "{bad}");
        }
    }
}
