import Foundation
import RetortCore
import Testing

@Suite("JSON schema")
struct JSONSchemaTests {
    private struct Case: Decodable {
        let schema: JSONValue
        let value: JSONValue
        let valid: Bool
    }

    @Test("judges 400 values as the PyPI package jsonschema does (Tools/make_schema_cases.py)")
    func oracle() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/schemas.jsonl")
        let cases = try JSONLines.read(Case.self, from: file)
        #expect(cases.count == 400)
        for item in cases {
            let schema = try JSONSchema(item.schema)
            let fault = schema.fault(in: item.value)
            #expect(try JSONSchema(schema.json) == schema, "written and read again: \(schema.json.jsonText)")
            #expect((fault == nil) == item.valid, "\(item.schema.jsonText) \(item.value.jsonText) \(fault ?? "valid")")
        }
    }

    @Test(
        "says what is wrong, and where",
        arguments: [
            (#"{}"#, "'city' is missing"), (#"{"city":3}"#, "'city' must be a text"),
            (#"{"city":"X","day":0}"#, "'day' must be at least 1.0"), (#"{"city":"X","more":1}"#, "there is no 'more'"),
            (#"3"#, "the value must be an object"),
        ])
    func faults(value: String, fault: String) throws {
        let schema = try JSONSchema([
            "type": "object", "required": ["city"], "additionalProperties": false,
            "properties": ["city": ["type": "string"], "day": ["type": "integer", "minimum": 1]],
        ])
        #expect(schema.fault(in: try JSONCoding.decoder.decode(JSONValue.self, from: Data(value.utf8))) == fault)
    }

    @Test("a keyword that would be ignored is refused")
    func unsupported() {
        #expect(throws: JSONSchemaError.unsupported("#/properties/a", keyword: "pattern")) {
            try JSONSchema(["type": "object", "properties": ["a": ["type": "string", "pattern": "x+"]]])
        }
    }
}
