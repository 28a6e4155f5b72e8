//! Every organisation's sandboxes and what is stored in them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::Client;
use super::collection::Collection;
use super::profiles::{Event, Profile};
use super::seed;
use crate::aep::{OrgId, SandboxName};

/// Which organisations and sandboxes exist at the start.
#[derive(Clone, Debug)]
pub(super) struct Seed {
    pub(super) organizations: Vec<OrgId>,
    pub(super) sandboxes: Vec<SandboxName>,
}

impl Seed {
    /// The organisations of `clients`, each with `sandboxes` and, in any case, the production sandbox.
    pub(super) fn of(clients: &[Client], sandboxes: &[SandboxName]) -> Self {
        let mut organizations = Vec::new();
        for client in clients {
            if !organizations.contains(&client.organization) {
                organizations.push(client.organization.clone());
            }
        }
        let mut sandboxes = sandboxes.to_vec();
        let production = production();
        if !sandboxes.contains(&production) {
            sandboxes.push(production);
        }
        Self {
            organizations,
            sandboxes,
        }
    }
}

/// The name of the sandbox a request without a sandbox header reaches.
pub(super) const PRODUCTION: &str = "prod";

/// All stored data.
#[derive(Debug)]
pub(super) struct World {
    sandboxes: HashMap<OrgId, BTreeMap<SandboxName, Sandbox>>,
    default: SandboxName,
}

impl World {
    pub(super) fn new(seed: &Seed) -> Self {
        let of = |organization: &OrgId| {
            seed.sandboxes
                .iter()
                .map(|name| (name.clone(), Sandbox::new(organization, name)))
                .collect()
        };
        Self {
            sandboxes: seed
                .organizations
                .iter()
                .map(|organization| (organization.clone(), of(organization)))
                .collect(),
            default: production(),
        }
    }

    pub(super) fn has_organization(&self, organization: &str) -> bool {
        self.sandboxes
            .keys()
            .any(|known| known.as_str() == organization)
    }

    pub(super) fn default_sandbox(&self) -> SandboxName {
        self.default.clone()
    }

    pub(super) fn sandbox_named(&self, organization: &OrgId, name: &str) -> Option<SandboxName> {
        let mut names = self.sandboxes.get(organization)?.keys();
        names.find(|known| known.as_str() == name).cloned()
    }

    pub(super) fn sandbox_with_id(&self, organization: &OrgId, id: &str) -> Option<SandboxName> {
        let mut sandboxes = self.sandboxes.get(organization)?.iter();
        sandboxes
            .find(|(_, sandbox)| sandbox.facts.id == id)
            .map(|(name, _)| name.clone())
    }

    #[cfg(test)]
    pub(super) fn sandbox_id(&self, organization: &OrgId, name: &SandboxName) -> Option<String> {
        let sandbox = self.sandboxes.get(organization)?.get(name)?;
        Some(sandbox.facts.id.clone())
    }

    pub(super) fn sandbox_mut(
        &mut self,
        organization: &OrgId,
        name: &SandboxName,
    ) -> Option<&mut Sandbox> {
        self.sandboxes.get_mut(organization)?.get_mut(name)
    }
}

/// What is stored in one sandbox.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) facts: Facts,
    pub(super) profiles: Vec<Profile>,
    pub(super) events: Vec<Event>,
    /// Configuration objects and jobs, by what they are.
    pub(super) collections: BTreeMap<&'static str, Collection>,
    pub(super) random: fastrand::Rng,
}

impl Sandbox {
    /// Returns the sandbox as it is at the start, which depends on its names alone.
    pub(super) fn new(organization: &OrgId, name: &SandboxName) -> Self {
        let mut random = fastrand::Rng::with_seed(digest(&format!("{organization}/{name}")));
        let mut sandbox = Self {
            facts: Facts {
                organization: organization.clone(),
                name: name.clone(),
                id: uuid(&mut random),
            },
            profiles: Vec::new(),
            events: Vec::new(),
            collections: BTreeMap::new(),
            random,
        };
        seed::fill(&mut sandbox);
        sandbox
    }

    pub(super) fn collection(&mut self, name: &'static str) -> &mut Collection {
        self.collections.entry(name).or_default()
    }
}

/// What Adobe says about a sandbox inside the objects stored there.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) organization: OrgId,
    pub(super) name: SandboxName,
    pub(super) id: String,
}

impl Facts {
    pub(super) fn to_json(&self) -> Value {
        let production = self.name.as_str() == PRODUCTION;
        json!({
            "sandboxId": self.id,
            "sandboxName": self.name.as_str(),
            "type": if production { "production" } else { "development" },
            "default": production,
        })
    }
}

fn production() -> SandboxName {
    PRODUCTION.parse().expect("the name is a legal one")
}

/// Returns a random UUID of version 4.
pub(super) fn uuid(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-{:x}{:03x}-{:012x}",
        bits >> 96,
        (bits >> 80) & 0xffff,
        (bits >> 64) & 0xfff,
        8 | ((bits >> 60) & 0x3),
        (bits >> 48) & 0xfff,
        bits & 0xffff_ffff_ffff,
    )
}

/// FNV-1a, to make the same ids from the same names on every start.
pub(super) fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
