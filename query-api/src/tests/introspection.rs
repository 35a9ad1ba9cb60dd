//! Introspection: what tools send is answered, and what it costs is known beforehand.

use serde_json::json;

use super::limits::statements;
use super::world::World;
use crate::graphql::introspection_as_tools_send_it;

#[tokio::test]
async fn tools_can_read_the_schema() {
    let world = World::new().await;
    for query in introspection_as_tools_send_it() {
        let (count, data) = statements(world.query(query, json!({}))).await;
        assert_eq!((count, &data["__schema"]["queryType"]["name"]), (0, &json!("Query")));
        let types = data["__schema"]["types"].as_array().unwrap();
        let inspection = types.iter().find(|one| one["name"] == "Inspection").unwrap();
        let mut fields = inspection["fields"].as_array().unwrap().iter();
        let id = fields.find(|field| field["name"] == "id").unwrap();
        assert_eq!(id["type"]["ofType"]["name"], "ID", "{id}");
    }
}

#[tokio::test]
async fn introspection_counts_as_what_it_answers() {
    let world = World::new().await;
    let left = async |query: &str| {
        let answer = world.post_graphql(&world.token(), &json!({"query": query})).await;
        assert!(answer.json().get("errors").is_none(), "{query}");
        let header = answer.header("ratelimit").split(['=', ';']).nth(2).map(str::to_owned);
        header.unwrap().parse::<i32>().unwrap()
    };
    let before = left("{ __typename }").await;
    let after = left(introspection_as_tools_send_it()[0]).await;
    assert!(before - after >= 5, "thousands of values are several requests: {before}, {after}");
}

fn arguments(times: usize) -> String {
    (0..times).map(|n| format!("a{n}: args {{ name }} ")).collect()
}

#[tokio::test]
async fn the_schema_is_asked_for_once_and_no_deeper_than_an_answer_may_be_large() {
    let world = World::new().await;
    let aliases: String =
        (0..40).map(|n| format!("a{n}: __schema {{ types {{ name }} }} ")).collect();
    // Of thirteen fields with five arguments each.
    let fields: String =
        (0..24).map(|n| format!("a{n}: fields {{ {} }} ", arguments(20))).collect();
    for query in [
        format!("{{ {aliases} }}"),
        "{ __schema { types { name } } __schema { types { name } } }".to_owned(),
        "{ ...a b: __schema { types { name } } } fragment a on Query { ... { __schema { types { name } } } }"
            .to_owned(),
        format!("{{ __schema {{ types {{ {fields} }} }} }}"),
        format!("{{ __type(name: \"Query\") {{ {fields} }} }}"),
        format!("query($name: String!) {{ ...a }} fragment a on Query {{ __type(name: $name) {{ {fields} }} }}"),
        format!("query($name: String = \"Query\") {{ __type(name: $name) {{ {fields} }} }}"),
    ] {
        let variables = if query.contains("String!") { json!({"name": "Query"}) } else { json!({}) };
        assert_eq!(world.graphql_code(&query, variables).await, "QUERY_TOO_COMPLEX", "{query}");
    }
    let one_of_many =
        "query a { __schema { types { name } } } query b { __schema { types { name } } }";
    let body = json!({"query": one_of_many, "operationName": "b"});
    let answer = world.post_graphql(&world.token(), &body).await.json();
    assert!(answer.get("errors").is_none(), "{answer}");
}
