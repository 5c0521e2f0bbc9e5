//! What happens to the load balancer other than through its API: its owner changes something, or somebody else does.

use crate::load_balancer::LocalAlb;
use crate::settings::Instance;
use tokio::time::Instant;

impl LocalAlb {
    /// Makes an instance known: its id may be registered, and its traffic goes to its address.
    pub fn add_instance(&self, instance: Instance) {
        self.model().instances.insert(instance.id.clone(), instance);
    }

    /// An instance leaves a group for good: it is deregistered and not expected back.
    pub fn retire(&self, arn: &str, instance_id: &str) {
        let now = Instant::now();
        let mut model = self.model();
        let Some(group) = model.groups.get_mut(arn) else { return };
        group.expected.remove(instance_id);
        let delay = group.delay();
        group
            .targets
            .iter_mut()
            .filter(|((id, _), _)| id == instance_id)
            .for_each(|(_, t)| t.deregister(now, delay));
    }

    /// Deletes a group, as its owner may at any time.
    pub fn delete_target_group(&self, arn: &str) {
        self.model().groups.remove(arn);
    }

    /// The owner of the group sets a tag.
    pub fn set_tag(&self, arn: &str, key: &str, value: &str) {
        if let Some(group) = self.model().groups.get_mut(arn) {
            group.tags.set(Instant::now(), key, value);
        }
    }

    /// The owner of the group removes a tag.
    pub fn remove_tag(&self, arn: &str, key: &str) {
        if let Some(group) = self.model().groups.get_mut(arn) {
            group.tags.remove(Instant::now(), key);
        }
    }

    /// Somebody else registers a target, without a fault.
    pub fn register(&self, arn: &str, id: &str, port: u16) {
        let new = self.model().register(Instant::now(), arn, id, port);
        self.check_health_of(new.into_iter().collect());
    }

    /// Somebody else deregisters a target, without a fault.
    pub fn deregister(&self, arn: &str, id: &str, port: u16) {
        self.model().deregister(Instant::now(), arn, id, port);
    }
}
