import Crypto
import Foundation
import RetortCore

/// One thing that a stage's result depends on, with its content: a short text itself, a longer one or a file as its
/// SHA-256.
struct StageInput: Sendable, Hashable {
    /// Its name for people: `base weights`, `filter.leaks`.
    let name: String
    let value: String

    /// The longest text, in characters, that is kept itself; a longer one is kept as its digest.
    private static let longest = 80

    init(name: String, value: String) {
        self.name = name
        self.value = value
    }

    /// The version of the computation. It is raised when the same inputs would give other results than before: another
    /// prompt, another search, another order of training. Stages made by an earlier version are then made again.
    static let computation = StageInput(name: "retort's computation", value: "2")

    /// A text, such as a prompt.
    static func text(_ name: String, _ text: String) -> StageInput {
        let isShort = text.count <= longest && !text.contains(where: \.isNewline)
        return StageInput(name: name, value: isShort ? text : "sha256:\(ContentDigest.of(Data(text.utf8)))")
    }

    /// A value, as JSON.
    static func setting(_ name: String, _ value: some Encodable) throws -> StageInput {
        text(name, String(decoding: try JSONCoding.encoder.encode(value), as: UTF8.self))
    }

    /// A plan as one input for each of its keys, so that a change can be named. Keys that are added to the plan later
    /// become inputs, too.
    static func settings(_ name: String, _ plan: some Encodable) throws -> [StageInput] {
        let json = try JSONCoding.decoder.decode(JSONValue.self, from: JSONCoding.encoder.encode(plan))
        guard let members = json.object else { return [.text(name, json.jsonText)] }
        return members.map { .text("\(name).\($0.key)", $0.value.jsonText) }.sorted { $0.name < $1.name }
    }
}

/// SHA-256 in hexadecimal digits.
enum ContentDigest {
    static func of(_ data: Data) -> String { ContentHash.text(SHA256.hash(data: data)) }

    static func of(_ texts: some Sequence<String>) -> String {
        var hash = SHA256()
        for text in texts {
            // The length comes first, so that different lists cannot give the same bytes.
            hash.update(data: Data("\(text.utf8.count) ".utf8))
            hash.update(data: Data(text.utf8))
        }
        return ContentHash.text(hash.finalize())
    }
}
