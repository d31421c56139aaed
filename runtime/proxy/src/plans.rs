//! Where plans come from, which of them are good, and where the last good one is kept.

use crate::args::{Args, Source};
use crate::intake::{Intake, Taken};
use crate::keep::{self, Keep};
use crate::say;
use crate::trusted;
use mesh_plan::bundle::Trust;
use mesh_plan::keys::PublicKey;
use mesh_proxy::cause;
use std::path::PathBuf;

/// All of it.
pub(crate) struct Plans {
    pub(crate) source: Source,
    pub(crate) intake: Intake,
    keep: Option<Keep>,
}

impl Plans {
    pub(crate) fn of(args: &Args) -> Result<Plans, String> {
        let keys = public_keys(&args.plan_key)?;
        let trust = Trust { keys, environment: args.environment.clone(), last: None };
        let keep = args.state.as_deref().map(|state| Keep::at(state, keep::PLAN)).transpose()?;
        Ok(Plans { source: args.plan.clone(), intake: Intake { trust, wanted: args.wanted() }, keep })
    }

    /// What was kept. From then on nothing older is taken over.
    pub(crate) fn kept(&mut self) -> Option<Taken> {
        let keep = self.keep.as_ref()?;
        let bytes = keep.load()?;
        match self.intake.of_bytes(bytes) {
            Ok(kept) => {
                self.intake.trust.last.clone_from(&kept.statement);
                Some(kept)
            }
            Err(why) => {
                say(&format!("the plan kept in {} is not used: {why}", keep.path().display()));
                None
            }
        }
    }

    /// Notes that a plan is served.
    pub(crate) fn took(&mut self, plan: &Taken) {
        if plan.statement.is_some() {
            self.intake.trust.last.clone_from(&plan.statement);
        }
        if let Some(keep) = &self.keep
            && keep.load().as_deref() != Some(&plan.bytes)
            && let Err(why) = keep.store(&plan.bytes)
        {
            say(&why);
        }
    }
}

fn public_keys(paths: &[PathBuf]) -> Result<Vec<PublicKey>, String> {
    let mut keys = Vec::new();
    for path in paths {
        let bytes = trusted::read(path)
            .map_err(|error| format!("cannot read the key {}: {}", path.display(), cause(&error)))?;
        let found = PublicKey::all_from_pem(&String::from_utf8_lossy(&bytes));
        keys.extend(found.map_err(|why| format!("cannot use {} as a key: {why}", path.display()))?);
    }
    Ok(keys)
}
