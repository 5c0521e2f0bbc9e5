//! Creating a target group. All settings are checked first.

use crate::load_balancer::LocalAlb;
use crate::model::TargetGroup;
use crate::model::tags::{MOST_TAGS, is_legal};
use crate::settings::TargetGroupSettings;
use tokio::time::Instant;

/// Maximum length of a name, in characters.
const LONGEST_NAME: usize = 32;

/// Why a target group cannot be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// AWS does not allow this name.
    #[error("failed to create the target group {0:?}: use 1 to {LONGEST_NAME} letters, digits and hyphens")]
    IllegalName(String),
    /// The name is taken.
    #[error("failed to create the target group {0}: a target group with this name exists; choose another")]
    Exists(String),
    /// An attribute does not exist, or its value is out of range.
    #[error("failed to create the target group {group}: {why}")]
    IllegalAttribute {
        /// The group.
        group: String,
        /// The attribute, and what is allowed.
        why: String,
    },
    /// AWS does not allow this tag.
    #[error(
        "failed to create the target group {group}: its tag {key:?} has a key or a value that is not allowed"
    )]
    IllegalTag {
        /// The group.
        group: String,
        /// The tag's key.
        key: String,
    },
    /// AWS does not allow this many tags.
    #[error("failed to create the target group {group}: {count} tags are more than the limit of {MOST_TAGS}")]
    TooManyTags {
        /// The group.
        group: String,
        /// The number of tags.
        count: usize,
    },
    /// A target names an unknown instance.
    #[error(
        "failed to create the target group {group}: the target {id} is not a known instance; add the instance first"
    )]
    NoSuchInstance {
        /// The group.
        group: String,
        /// The target.
        id: String,
    },
}

impl LocalAlb {
    /// Creates a target group and returns its ARN. The health checks run in the current tokio runtime.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn create_target_group(&self, settings: TargetGroupSettings) -> Result<String, CreateError> {
        check(&settings)?;
        let now = Instant::now();
        let mut model = self.model();
        let group = settings.name.clone();
        let arn = model.arn_of(&group);
        if model.groups.contains_key(&arn) {
            return Err(CreateError::Exists(group));
        }
        let targets = settings.targets.clone();
        let by_id = settings.target_type != "ip";
        if let Some((id, _)) = targets.iter().find(|(id, _)| by_id && !model.instances.contains_key(id)) {
            return Err(CreateError::NoSuchInstance { group, id: id.clone() });
        }
        let made =
            TargetGroup::new(now, settings).map_err(|why| CreateError::IllegalAttribute { group, why })?;
        model.groups.insert(arn.clone(), made);
        let new = targets.iter().filter_map(|(id, port)| model.register(now, &arn, id, *port)).collect();
        drop(model);
        self.check_health_of(new);
        Ok(arn)
    }
}

fn check(settings: &TargetGroupSettings) -> Result<(), CreateError> {
    let TargetGroupSettings { name, tags, .. } = settings;
    let legal = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if !legal || !(1..=LONGEST_NAME).contains(&name.len()) {
        return Err(CreateError::IllegalName(name.clone()));
    }
    if tags.len() > MOST_TAGS {
        return Err(CreateError::TooManyTags { group: name.clone(), count: tags.len() });
    }
    match tags.iter().find(|(key, value)| !is_legal(key, value)) {
        Some((key, _)) => Err(CreateError::IllegalTag { group: name.clone(), key: key.clone() }),
        None => Ok(()),
    }
}
