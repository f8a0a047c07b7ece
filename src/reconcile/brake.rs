//! The brake: a plan that takes access from too many at once waits for a person's word. Too many is
//! more than a number *and* more than a share of those who have access, so that two people leaving a
//! house of ten are no alarm and neither are fifty leaving one of ten thousand; or more than a number
//! that is too many in any house.

use crate::config::Brake;

impl Brake {
    /// Why a plan that takes access from `losing` of `present` people is held; `None`: it is not.
    #[must_use]
    pub fn holds(&self, losing: u64, present: u64) -> Option<String> {
        let over_share = u128::from(losing) * 100 > u128::from(self.share) * u128::from(present);
        if losing > self.most {
            return Some(format!(
                "{losing} of {present} people would lose access, more than {} (brake_most)",
                self.most
            ));
        }
        if losing > self.number && over_share {
            return Some(format!(
                "{losing} of {present} people would lose access, more than {} (brake_number) and \
                 more than {} % (brake_share)",
                self.number, self.share
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Brake;

    #[test]
    fn a_few_may_leave_any_house() {
        let brake = Brake::default();
        assert_eq!(brake.holds(5, 5), None);
        assert_eq!(brake.holds(0, 0), None);
        assert_eq!(brake.holds(50, 10_000), None);
    }

    #[test]
    fn many_of_a_small_house_are_held() {
        assert!(Brake::default().holds(6, 20).is_some());
        assert_eq!(Brake::default().holds(6, 60), None);
        assert!(Brake::default().holds(7, 60).is_some());
    }

    #[test]
    fn too_many_are_too_many_whatever_the_share() {
        let brake = Brake::default();
        assert_eq!(brake.holds(100, 1_000_000), None);
        assert!(brake.holds(101, 1_000_000).is_some());
    }

    #[test]
    fn numbers_that_nobody_has_do_not_overflow() {
        assert!(Brake::default().holds(u64::MAX, u64::MAX).is_some());
    }
}
