import Foundation
import RetortCore
import RetortDomains

/// Every key that a recipe may have, as its reader knows it.
package struct RecipeKeys {
    let keys: YAMLKeys

    /// Reads recipes that together have something at every key, and notes which keys are read.
    /// - Throws: `RecipeError` if one of them is not YAML.
    package init() throws {
        let keys = YAMLKeys()
        for (number, text) in Self.specimens.enumerated() {
            let root = try YAMLFile.root(text, file: "specimen \(number)")
            // A contradiction in a specimen does not matter here.
            let reader = YAMLReader(root, faults: YAMLReader.Faults(), noting: keys)
            _ = Recipe(reader, folder: FileManager.default.temporaryDirectory)
        }
        self.keys = keys
    }

    /// A JSON schema (draft 2020-12) for editors: `# yaml-language-server: $schema=recipe.schema.json`.
    package var schema: String {
        let found = keys.schema.object ?? [:]
        let whole = found.merging([
            "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A recipe of Retort",
        ]) { $1 }
        return JSONValue.object(whole).jsonText
    }

    /// One line for each key under a path such as `training.agent`: what belongs there, and its default.
    /// - Returns: nil where nothing has that path.
    package func lines(under path: String) -> [String]? {
        guard let found = keys.under(path.split(separator: ".")) else { return nil }
        return found.lines(path)
    }

    /// Recipes without a meaning that contain every mapping, and every key that is read only if present.
    private static let specimens = [
        """
        validation: {share: 0.1, every: 1, patience: 1}
        maxFailures: 0.1
        observationLimit: 100
        domain: {world: {train: {}, noise: {}}}
        teacher: {endpoint: [{url: x, grammar: schemas}], seconds: {backoff: 1}, cassette: {file: x}, prices: {a: {}}, budget: {tokens: 1, money: 1}, tokenIDs: true}
        filter: {maxSteps: 1, maxCharacters: 1, keepEach: 1}
        students: [{}]
        training:
          agent:
            lora: {rank: 1}
            epochs: 1
            learningRate: 1e-3
            validation: {share: 0.1, every: 1, patience: 1}
            rounds: [{rejection: {}, repair: {}, preference: {learningRate: 1}, policy: {learningRate: 1}, distance: {learningRate: 1, best: 1}}]
          cot: &plan {lora: {rank: 1}, epochs: 1, learningRate: 1e-3, validation: {share: 0.1, every: 1, patience: 1}, rounds: [{rejection: {}, repair: {}, preference: {learningRate: 1}, policy: {learningRate: 1}, distance: {learningRate: 1, best: 1}}]}
          cot+rag: *plan
          agent+ftp: *plan
          tool-agent: *plan
        evaluation: {sag: {}}
        judge: {endpoint: [{url: x, grammar: schemas}], seconds: {backoff: 1}, cassette: {file: x}, prices: {a: {}}, budget: {tokens: 1, money: 1}}
        benchmarks: {limit: 1}
        """,
        """
        domain: {apis: {}}
        teacher: {folder: x}
        curricula: [{stages: [{tasks: {}, training: {lora: {rank: 1}, epochs: 1, learningRate: 1e-3, validation: {share: 0.1, every: 1, patience: 1}}}]}]
        evaluation: {depthFirst: {}, scaling: {shares: [0.5]}}
        """,
        """
        domain:
          tasks: {train: {limit: 1, grader: {threshold: 1, tolerance: 1, ordered: true}}, validation: {limit: 1, grader: {threshold: 1, tolerance: 1, ordered: true}}, test: {in: {limit: 1, grader: {threshold: 1, tolerance: 1, ordered: true}}}}
          fields: {question: [{}]}
          tools:
            - {python: x, place: host, effect: {f: {}}, seconds: 1}
            - {mcp: [{}], url: x, effect: pure, seconds: 1, startSeconds: 1, environment: {A: {}}, headers: {a: {}}}
          documents: {encoder: {}, characters: 100}
          grader: {threshold: 1, tolerance: 1, ordered: true}
          also: [{threshold: 1, tolerance: 1, ordered: true}]
          observationLimit: 100
        teacher: {trajectories: x, map: {a: {}}, train: 1}
        """,
        "domain: {documents: {service: [{}], headers: {a: {}}, seconds: 1}}",
    ]
}
