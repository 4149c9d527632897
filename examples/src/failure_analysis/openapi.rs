//! The service's own description.

use pipeline_core::failure::FailureCategory;
use serde_json::Value;
use serde_json::json;

/// Returns the OpenAPI document.
pub(crate) fn document() -> Value {
    let categories: Vec<_> = FailureCategory::ALL.iter().map(|c| c.as_str()).collect();
    let problem = |what: &str| {
        json!({
            "description": what,
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        })
    };
    let fact = |name: &str, kind: &str, what: &str| {
        json!({
            "name": name, "in": "query", "required": false, "description": what,
            "schema": {"type": kind}
        })
    };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Failure analysis",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Explains why a CI job failed, from its log."
        },
        "paths": {
            "/api/analysis": {"post": {
                "summary": "Explain one log",
                "security": [{"token": []}, {}],
                "parameters": [
                    fact("job", "string", "The name of the job (text and JSON lines only)"),
                    fact("stage", "string", "The stage of the job"),
                    fact("exit_code", "integer", "The exit code of the failed command"),
                    fact("failure_reason", "string", "What the platform says"),
                    fact("tool", "string", "The tools the job runs, separated by commas"),
                    fact("incomplete", "boolean", "Whether the log is still being written"),
                ],
                "requestBody": {"required": true, "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/LogAnalysisRequest"}},
                    "text/plain": {"schema": {"type": "string"}},
                    "application/x-ndjson": {"schema": {"type": "string"}}
                }},
                "responses": {
                    "200": {"description": "The answer, also where nothing is known", "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/LogAnalysisResult"}}
                    }},
                    "400": problem("The body or query cannot be read"),
                    "401": problem("The token is missing or wrong"),
                    "408": problem("The body did not arrive in time"),
                    "413": problem("The body is too large"),
                    "415": problem("The content type or encoding is not known"),
                    "422": problem("A field is missing or of the wrong type"),
                    "503": problem("The service is busy or stopping")
                }
            }},
            "/healthz": {"get": {"summary": "Answer ok", "responses": {"200": {"description": "The service runs"}}}},
            "/metrics": {"get": {"summary": "Counters in Prometheus' text form", "security": [{"token": []}, {}],
                "responses": {"200": {"description": "The counters"}, "401": problem("The token is missing or wrong")}}},
            "/openapi.json": {"get": {"summary": "This document", "responses": {"200": {"description": "The document"}}}}
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "LogAnalysisRequest": {
                    "type": "object",
                    "required": ["log"],
                    "properties": {
                        "log": {"$ref": "#/components/schemas/Log"},
                        "job": {"type": "string"},
                        "stage": {"type": "string"},
                        "exit_code": {"type": "integer", "format": "int32"},
                        "failure_reason": {"type": "string"},
                        "tools": {"type": "array", "items": {"type": "string"}},
                        "incomplete": {"type": "boolean", "default": false},
                        "passing_log": {"$ref": "#/components/schemas/Log"}
                    }
                },
                "Log": {"oneOf": [
                    {"type": "string"},
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "object", "required": ["json_lines"], "properties": {"json_lines": {"type": "string"}}}
                ]},
                "LogAnalysisResult": {
                    "type": "object",
                    "required": ["status", "category", "blame", "retryable", "confidence", "summary", "suggested_fix", "evidence"],
                    "properties": {
                        "status": {"enum": ["ok", "no_log", "truncated", "no_match"]},
                        "category": {"enum": categories},
                        "blame": {"enum": ["code", "infra", "unclear"]},
                        "retryable": {"type": "boolean"},
                        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                        "summary": {"type": "string"},
                        "suggested_fix": {"type": "string"},
                        "evidence": {"type": "array", "items": {"$ref": "#/components/schemas/Evidence"}},
                        "signature": {"type": "string"},
                        "rule": {"type": "string"},
                        "tool": {"type": "string"}
                    }
                },
                "Evidence": {
                    "type": "object",
                    "required": ["role", "anchor", "first_line", "last_line", "text"],
                    "properties": {
                        "role": {"enum": ["cause", "related", "symptom", "tail"]},
                        "anchor": {"type": "integer"},
                        "first_line": {"type": "integer"},
                        "last_line": {"type": "integer"},
                        "text": {"type": "array", "items": {"type": "string"}}
                    }
                },
                "Problem": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"}
                    }
                }
            }
        }
    })
}
