//! Which failure it is, and the figures that decided it. The signs differ by who looked; the rules do not.
//!
//! | family | health | streams that are served | CPU |
//! |---|---|---|---|
//! | limit shared with health | waits | keep their pace | low |
//! | limit beside health | fast | keep their pace, others wait | low |
//! | loop blocked | waits | stop, or all are slower | low, or one core |
//! | CPU saturated | slow | all are slower | no core is free |
//! | all slow | fast | all are slower, or stand still | low |
//! | held for nobody | fast | fewer than before the hang-up | low |
//! | sheds load | any, answered at once | keep their pace, others are refused | low |
//! | restarts | refused for a while | all break off at once | – |

use super::rules;
use super::signs::{Signs, of_cell, of_target};
use crate::summary::{Diagnosis, Summary};

/// The verdict on one cell. Expects everything of `summary` but its diagnosis and expectations.
#[must_use]
pub fn diagnose(summary: &Summary) -> Diagnosis {
    rules::verdict(&signs(summary))
}

/// What was seen of one cell.
#[must_use]
pub fn signs(summary: &Summary) -> Signs {
    match &summary.attach {
        Some(attach) => of_target(summary, attach),
        None => of_cell(summary),
    }
}

#[cfg(test)]
mod tests;
