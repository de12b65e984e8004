import Foundation
import RetortCore
import RetortDomains
import Testing
import Yams

@testable import RetortRecipes

private let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

@Suite("The keys of recipes")
struct RecipeKeysTests {
    @Test("every key that the reader asks for is known with what belongs there")
    func whole() throws {
        // What is refused with what it is called today.
        let left = try RecipeKeys().keys.unexplored()
        #expect(
            left == [
                "apis", "domain.tools.mcp.args", "domain.tools.mcp.command", "domain.tools.mcp.url", "recorded",
                "world",
            ], "\(left)")
    }

    @Test("a line says what belongs at a key and what holds without it; a default that is none is not told")
    func lines() throws {
        let keys = try RecipeKeys()
        let lines = try #require(keys.lines(under: "evaluation"))
        #expect(lines.contains("evaluation.maxSteps  a whole number, 1 to 100  (5)"))
        #expect(
            lines.contains {
                $0.hasPrefix("evaluation.sag.rule  ") && $0.contains(" | ") && $0.hasSuffix("  (canonical)")
            })
        let filter = try #require(keys.lines(under: "filter"))
        #expect(filter.contains("filter.maxSteps  a whole number, 1 to 1000"))
        #expect(keys.lines(under: "training.agents") == nil)
    }

    @Test("the schema takes the recipes that are shipped, and no key that the reader refuses")
    func schema() throws {
        let schema = try JSONSchema(ExactJSON.value(of: RecipeKeys().schema))
        let folders = [
            "recipes", "recipes/loops-real", "recipes/ladder-real", "recipes/alpha-umi-real", "examples/wiki-search",
        ]
        var count = 0
        for folder in folders.map(root.appendingPathComponent) {
            for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            where file.pathExtension == "yaml" && file.lastPathComponent != "domain.yaml" {
                let value = JSONValue(try YAMLFile.root(YAMLFile.text(file), file: file.path))
                #expect(schema.fault(in: value) == nil, "\(file.path): \(schema.fault(in: value) ?? "")")
                count += 1
            }
        }
        #expect(count > 15)
        #expect(schema.fault(in: ["name": "x", "evaluations": [:]]) != nil)
        #expect(schema.fault(in: ["evaluation": ["tasks": "many"]]) != nil)
    }
}

extension JSONValue {
    /// A YAML node as an editor's schema sees it.
    fileprivate init(_ node: Node) {
        switch node {
        case .mapping(let mapping):
            self = .object(
                Dictionary(
                    mapping.map { ($0.key.string ?? "", JSONValue($0.value)) }, uniquingKeysWith: { first, _ in first })
            )
        case .sequence(let sequence): self = .array(sequence.map(JSONValue.init))
        default:
            // Quoted, a number is a text.
            if case .scalar(let scalar) = node, scalar.style != .plain {
                self = .string(scalar.string)
            } else {
                self =
                    node.int.map(JSONValue.integer) ?? node.float.map(JSONValue.number) ?? node.bool.map(JSONValue.bool)
                    ?? node.string.map(JSONValue.string) ?? .null
            }
        }
    }
}
