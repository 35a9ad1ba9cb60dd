//! What readers would have seen of the read models: how many rows, and the rows.

use futures::TryStreamExt as _;

use super::{Replay, ReplayError};

/// A table that readers see, as of then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedTable {
    /// Its name in the schema `read`.
    pub name: &'static str,
    /// How many rows it had.
    pub rows: i64,
}

impl Replay {
    /// The tables that readers see.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tables(&mut self) -> Result<Vec<ReplayedTable>, ReplayError> {
        let mut tables = Vec::new();
        for (name, from) in self.views() {
            let sql = format!("SELECT count(*) FROM {from}");
            let rows = sqlx::query_scalar(&sql).fetch_one(&mut *self.connection).await?;
            tables.push(ReplayedTable { name, rows });
        }
        Ok(tables)
    }

    /// Hands the rows of a table to `take`, each as a line of JSON, in an order that depends on them alone.
    ///
    /// # Errors
    /// When the database fails; an error of `take`.
    pub async fn export_rows<E: From<ReplayError>>(
        &mut self,
        table: &str,
        mut take: impl FnMut(&str) -> Result<(), E> + Send,
    ) -> Result<(), E> {
        let views = self.views();
        let from = views.iter().find(|(name, _)| *name == table).map(|(_, from)| from);
        let Some(from) = from else { return Err(ReplayError::Removed.into()) };
        let sql = format!(
            r#"SELECT line FROM (SELECT to_json(t)::text AS line FROM {from} t) AS lines ORDER BY line COLLATE "C""#
        );
        let mut lines = sqlx::query_scalar::<_, String>(&sql).fetch(&mut *self.connection);
        while let Some(line) = lines.try_next().await.map_err(ReplayError::from)? {
            take(&line)?;
        }
        Ok(())
    }

    /// The tables that readers see, and where their rows are.
    fn views(&self) -> Vec<(&'static str, String)> {
        let each = self.generations.iter().flat_map(|generation| {
            let schema = generation.schema();
            let views = generation.projection.definition().views.iter();
            views.map(move |view| (*view, format!("{schema}.{view}")))
        });
        each.collect()
    }
}
