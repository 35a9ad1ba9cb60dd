//! What a projection is: events and a transaction in, rows out, nothing else.
//!
//! Invariants: applying an event again changes nothing; from the whole log the same rows come out,
//! whatever the sizes of the pages it came in.

use futures::future::BoxFuture;
use platform::event_log::{Recorded, Undecodable, UndecodableEvent};
use platform::postgres::{DatabaseConnection, DatabaseFlavour};

/// What a projection says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ProjectionDefinition {
    /// Its stored name; also the beginning of its generations' schema names, so `[a-z_]+`.
    pub name: &'static str,
    /// Which version of its tables, and of what it writes into them, this code is. Raise it with every
    /// change of either: a generation that another version built is not written into, until a
    /// rebuild makes one of this version.
    pub schema_version: i32,
    /// DDL of its tables on a database of this flavour, unqualified: it runs with a generation's
    /// schema as the first one in the search path. What readers see has the same names and columns on all of them.
    pub schema_sql: fn(DatabaseFlavour) -> &'static str,
    /// Its tables that readers see, each as a view of the same name in the schema `read`.
    pub views: &'static [&'static str],
    /// The types of the aggregates whose events it reads. Others are applied by doing nothing.
    pub aggregate_types: &'static [&'static str],
}

impl ProjectionDefinition {
    /// What its tables are made from on a database of this flavour, without comments and layout: the same
    /// text, the same tables.
    pub(crate) fn tables(&self, flavour: DatabaseFlavour) -> String {
        let lines = (self.schema_sql)(flavour).lines();
        let code = lines.map(|line| line.split_once("--").map_or(line, |(code, _)| code));
        code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
    }

    /// [`Self::tables`] on databases of every flavour. A generation keeps the tables that it was made with when its
    /// database becomes another, and whoever writes into it need not know which these are.
    pub(crate) fn tables_of_all_flavours(&self) -> Vec<String> {
        DatabaseFlavour::ALL.map(|flavour| self.tables(flavour)).to_vec()
    }
}

/// The code of this build: another build whose sources differ has another.
const CODE: &str = env!("PROJECTORS_CODE");

/// A read model that is built from the log and can be built again.
pub trait Projection: Send + Sync + 'static {
    /// What it says of itself; always the same.
    fn definition(&self) -> ProjectionDefinition;

    /// Which code applies its events: what one could not apply, another may.
    fn code(&self) -> &str {
        CODE
    }

    /// Its stored name.
    fn name(&self) -> &'static str {
        self.definition().name
    }

    /// Whether it applies every event of its aggregates, decisions about its own streams among them, whatever is decided.
    fn leaves_nothing_out(&self) -> bool {
        false
    }

    /// Applies events of its aggregates, in log order: all of them, or the transaction is rolled
    /// back. It gets a stretch rather than a single event, so that a rebuild costs a few statements
    /// for a thousand events.
    ///
    /// # Errors
    /// [`ApplyError::Permanent`] when one of the events can never be applied, [`ApplyError::Unknown`] when
    /// this software is too old for it.
    fn apply<'a>(
        &'a self,
        tx: &'a mut DatabaseConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>>;
}

/// Why events were not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database is at fault, or this code is: nothing is wrong with the events.
    #[error("the database failed: {0}")]
    Transient(#[source] sqlx::Error),
    /// Newer software wrote an event that this software does not know: it has to wait for newer software,
    /// which can apply it.
    #[error("{0}")]
    Unknown(String),
    /// An event cannot be applied now or ever.
    #[error("{0}")]
    Permanent(String),
}

impl ApplyError {
    pub(crate) fn permanent(reason: impl ToString) -> Self {
        Self::Permanent(reason.to_string())
    }
}

impl From<UndecodableEvent> for ApplyError {
    /// What is damaged stays damaged; what is not known here is a newer program's.
    fn from(error: UndecodableEvent) -> Self {
        match error.reason {
            Undecodable::Unknown(_) => Self::Unknown(error.to_string()),
            Undecodable::Shape(_) | Undecodable::Name { .. } => Self::permanent(error),
        }
    }
}

/// SQLSTATE classes that blame the values of a statement: cardinality, data, integrity, size.
///
/// Everything else waits and is tried again, even a missing table or column: that is a fault of the
/// deployment, which would otherwise park every stream there is.
const VALUES_AT_FAULT: [&str; 4] = ["21", "22", "23", "54"];

impl From<sqlx::Error> for ApplyError {
    fn from(error: sqlx::Error) -> Self {
        let permanent = match &error {
            sqlx::Error::Database(database) => database
                .code()
                .is_some_and(|code| VALUES_AT_FAULT.iter().any(|class| code.starts_with(class))),
            sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
                true
            }
            _ => false,
        };
        if permanent { Self::permanent(error) } else { Self::Transient(error) }
    }
}
