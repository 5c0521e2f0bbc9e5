//! Making a target group: what is wrong with its settings is said before anything is made.

use crate::load_balancer::LocalAlb;
use crate::model::TargetGroup;
use crate::model::tags::{MOST_TAGS, is_legal};
use crate::settings::TargetGroupSettings;
use tokio::time::Instant;

/// Longest name, in characters.
const LONGEST_NAME: usize = 32;

/// A target group that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// AWS would not take the name.
    #[error(
        "failed to create the target group {0:?}: a name is 1 to {LONGEST_NAME} letters, digits and hyphens"
    )]
    IllegalName(String),
    /// Names are unique.
    #[error("failed to create the target group {0}: there is one of that name")]
    Exists(String),
    /// An attribute that does not exist, or a value out of range.
    #[error("failed to create the target group {group}: {why}")]
    IllegalAttribute {
        /// The group.
        group: String,
        /// Which one, and what is allowed.
        why: String,
    },
    /// A tag that AWS would not take.
    #[error(
        "failed to create the target group {group}: its tag {key:?} has a key or a value that is not allowed"
    )]
    IllegalTag {
        /// The group.
        group: String,
        /// The tag's key.
        key: String,
    },
    /// More than a resource can have.
    #[error("failed to create the target group {group}: it has {count} tags, the most is {MOST_TAGS}")]
    TooManyTags {
        /// The group.
        group: String,
        /// How many it was to have.
        count: usize,
    },
    /// A target is no known instance.
    #[error("failed to create the target group {group}: its target {id} is no instance; add it first")]
    NoSuchInstance {
        /// The group.
        group: String,
        /// The target.
        id: String,
    },
}

impl LocalAlb {
    /// Makes a target group and returns its ARN. Health checks of its targets start in the current tokio runtime.
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
