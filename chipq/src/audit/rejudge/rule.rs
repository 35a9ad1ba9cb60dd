//! The rule that is tried: another recipe, or another network.

use std::path::Path;

use domain::Recipe;
use domain::inspection::ModelIdentity;
use serde_json::{Value, json};

use crate::cli::{AuditRejudgeArgs, NamedNetwork};
use crate::failure::{Failure, exit};
use crate::model::find_network;

/// What a recipe revision's body has; the reason says nothing to a judgement.
const FIELDS: [&str; 7] =
    ["revision", "fail_at", "review_at", "area", "bend_max_px", "views", "reason"];

/// What boards are judged by again.
pub(super) enum Rule {
    /// This recipe, and the network that compared the board.
    Recipe(Recipe),
    /// This network, and the board's own recipe.
    Network(ModelIdentity),
}

impl Rule {
    /// The one that the command line names.
    pub(super) async fn from_args(args: &AuditRejudgeArgs) -> Result<Self, Failure> {
        match (&args.recipe, &args.model) {
            (Some(path), _) => read_recipe(path).map(Self::Recipe),
            (None, Some(NamedNetwork { name, version })) => {
                find_network(&args.server, (name, version)).await.map(Self::Network)
            }
            (None, None) => Err(Failure::new(
                "neither a recipe nor a network is named",
                "add --recipe FILE or --model NAME@VERSION",
                exit::USAGE,
            )),
        }
    }

    /// The recipe that a board with this one is judged by.
    pub(super) const fn recipe<'a>(&'a self, own: &'a Recipe) -> &'a Recipe {
        match self {
            Self::Recipe(recipe) => recipe,
            Self::Network(_) => own,
        }
    }

    /// Why the stored results do not suffice for a board with this recipe; nothing when they do. Thresholds and views are
    /// applied to results; what is compared, and with how much bend, decides what they are.
    pub(super) fn needs_pictures(&self, own: &Recipe) -> Option<String> {
        let Self::Recipe(recipe) = self else { return Some("another network".to_owned()) };
        let fields = [
            ("area", recipe.area != own.area),
            ("bend_max_px", { recipe.bend_max_px.total_cmp(&own.bend_max_px).is_ne() }),
        ];
        let changed: Vec<_> = fields.iter().filter(|(_, is_other)| *is_other).collect();
        let names: Vec<_> = changed.iter().map(|(name, _)| *name).collect();
        (!names.is_empty()).then(|| format!("another {}", names.join(" and ")))
    }

    /// As the output names it.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Recipe(recipe) => json!({ "recipe": recipe }),
            Self::Network(model) => json!({ "model": model }),
        }
    }
}

/// A recipe, as the body of a revision or as the API shows it.
fn read_recipe(path: &Path) -> Result<Recipe, Failure> {
    let shown = path.display();
    let text = std::fs::read(path).map_err(|error| {
        Failure::new(format_args!("cannot read {shown}: {error}"), "check the path", exit::NO_INPUT)
    })?;
    let no_recipe = |why: String| {
        Failure::new(
            format_args!("{shown} is no recipe: {why}"),
            "write the body of a recipe revision, such as the recipe that GET /v1/parts/{part} shows",
            exit::DATA,
        )
    };
    let mut value: Value =
        serde_json::from_slice(&text).map_err(|error| no_recipe(error.to_string()))?;
    let Some(fields) = value.as_object_mut() else {
        return Err(no_recipe("it is no JSON object".to_owned()));
    };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(no_recipe(format!("it has no field {unknown}")));
    }
    fields.remove("reason");
    fields.entry("revision").or_insert_with(|| json!(0));
    serde_json::from_value(value).map_err(|error| no_recipe(error.to_string()))
}
