//! A transaction on a [`DatabaseConnection`], or a savepoint inside one, and who begins it.
//!
//! Invariant: what is not committed is rolled back. A transaction that is dropped cannot wait for that: on
//! a connection of its own it is rolled back with the next statement, and one of the pool is closed. So
//! whoever expects to give up says so by [`Transaction::rollback`].

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use sqlx::TransactionManager as _;
use sqlx::postgres::PgTransactionManager;

use super::connection::DatabaseConnection;
use super::pool::{Pool, PooledConnection};

/// A transaction that has begun.
#[derive(Debug)]
pub struct Transaction<'c> {
    connection: Held<'c>,
    is_open: bool,
}

/// The connection of a transaction.
#[derive(Debug)]
enum Held<'c> {
    /// Taken from the pool, to which it returns.
    Pooled(PooledConnection),
    /// Somebody else's.
    Borrowed(&'c mut DatabaseConnection),
}

impl<'c> From<&'c mut DatabaseConnection> for Held<'c> {
    fn from(connection: &'c mut DatabaseConnection) -> Self {
        Self::Borrowed(connection)
    }
}

impl From<PooledConnection> for Held<'static> {
    fn from(connection: PooledConnection) -> Self {
        Self::Pooled(connection)
    }
}

impl Pool {
    /// Begins a transaction. It is rolled back unless it is committed.
    ///
    /// # Errors
    /// As [`Self::acquire`], and when the database fails.
    pub async fn begin(&self) -> Result<Transaction<'static>, sqlx::Error> {
        self.acquire().await?.into_transaction().await
    }

    /// The same by a statement of its own, such as one that says how much of others' work it sees.
    ///
    /// # Errors
    /// As [`Self::begin`], and when the statement begins no transaction.
    pub async fn begin_with(
        &self,
        statement: &'static str,
    ) -> Result<Transaction<'static>, sqlx::Error> {
        self.acquire().await?.into_transaction_by(statement).await
    }
}

impl PooledConnection {
    /// Begins a transaction that holds the connection. It is rolled back unless it is committed.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn into_transaction(self) -> Result<Transaction<'static>, sqlx::Error> {
        Transaction::begin(self.into(), None).await
    }

    /// The same by statements of its own, the first of which begins it.
    ///
    /// # Errors
    /// When the database fails, and when they begin no transaction.
    pub(crate) async fn into_transaction_by(
        self,
        statements: &'static str,
    ) -> Result<Transaction<'static>, sqlx::Error> {
        Transaction::begin(self.into(), Some(statements.into())).await
    }
}

impl DatabaseConnection {
    /// Begins a transaction, or inside one a savepoint. It is rolled back unless it is committed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begin(&mut self) -> Result<Transaction<'_>, sqlx::Error> {
        Transaction::begin(self.into(), None).await
    }

    /// Begins a transaction by statements of its own, the first of which begins it: one round trip for all of them.
    ///
    /// # Errors
    /// When the database fails, inside a transaction, and when they begin none.
    pub async fn begin_by(&mut self, statements: String) -> Result<Transaction<'_>, sqlx::Error> {
        Transaction::begin(self.into(), Some(statements.into())).await
    }
}

impl<'c> Transaction<'c> {
    async fn begin(
        mut connection: Held<'c>,
        statement: Option<Cow<'static, str>>,
    ) -> Result<Self, sqlx::Error> {
        let held = connection.get_mut();
        let patience = held.patience();
        let begun = PgTransactionManager::begin(held.start_statement()?, statement);
        let begun = patience.answer_to(begun).await;
        held.end_statement(begun)?;
        Ok(Self { connection, is_open: true })
    }

    /// Keeps what was done.
    ///
    /// # Errors
    /// When the database fails; whether it was kept is then not known, unless the error is the server's.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        let patience = self.patience();
        let committed = PgTransactionManager::commit(self.start_statement()?);
        let committed = patience.answer_to(committed).await;
        self.end_statement(committed)?;
        self.is_open = false;
        Ok(())
    }

    /// Undoes what was done.
    ///
    /// # Errors
    /// When the database fails; it is undone then, too.
    pub async fn rollback(mut self) -> Result<(), sqlx::Error> {
        let patience = self.patience();
        let undone = PgTransactionManager::rollback(self.start_statement()?);
        let undone = patience.answer_to(undone).await;
        self.end_statement(undone)?;
        self.is_open = false;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.queue_rollback();
        }
    }
}

impl Held<'_> {
    fn get(&self) -> &DatabaseConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Borrowed(connection) => connection,
        }
    }

    fn get_mut(&mut self) -> &mut DatabaseConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Borrowed(connection) => connection,
        }
    }
}

impl Deref for Transaction<'_> {
    type Target = DatabaseConnection;

    fn deref(&self) -> &DatabaseConnection {
        self.connection.get()
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut DatabaseConnection {
        self.connection.get_mut()
    }
}
