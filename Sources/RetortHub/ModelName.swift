/// What a model is called on a hub: `org/name`, with a revision and, of a repository with GGUF files, which of them:
/// `org/name@revision:Q4_K_M`.
public struct ModelName: Sendable, Hashable, CustomStringConvertible {
    /// `org/name`.
    public let repository: String
    /// A branch, a tag or a commit; nil is the hub's `main`.
    public let revision: String?
    /// A part of a GGUF file's name, such as `Q4_K_M`; nil takes the only one.
    public let quantization: String?

    /// Reads a name; nil for a text that is none, such as a path.
    ///
    /// The rules are those of `huggingface_hub`: two parts of letters, digits, `-`, `_` and `.`, at most 96 characters, neither
    /// beginning nor ending with `-` or `.`, without `--` and `..`, and not ending in `.git`.
    public init?(_ text: String) {
        var rest = Substring(text)
        var quantization: Substring?
        var revision: Substring?
        if let mark = rest.lastIndex(of: ":") {
            quantization = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        if let mark = rest.firstIndex(of: "@") {
            revision = rest[rest.index(after: mark)...]
            rest = rest[..<mark]
        }
        let parts = rest.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, rest.utf8.count <= 96, parts.allSatisfy(Self.isPart), !rest.hasSuffix(".git"),
            quantization.map(Self.isChoice) ?? true, revision.map(Self.isRevision) ?? true
        else { return nil }
        repository = String(rest)
        self.revision = revision.map(String.init)
        self.quantization = quantization.map(String.init)
    }

    /// In words.
    public var description: String {
        repository + (revision.map { "@\($0)" } ?? "") + (quantization.map { ":\($0)" } ?? "")
    }

    /// What it is called without its organisation.
    public var title: String { String(repository.split(separator: "/").last ?? "") }

    /// The folder of a cache that holds it.
    var folder: String { "models--" + repository.replacing("/", with: "--") }

    private static func isWord(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "-_.".contains(character))
    }

    private static func isPart(_ part: Substring) -> Bool {
        guard let first = part.first, let last = part.last, part.allSatisfy(isWord) else { return false }
        return !"-.".contains(first) && !"-.".contains(last) && !part.contains("--") && !part.contains("..")
    }

    private static func isChoice(_ text: Substring) -> Bool { !text.isEmpty && text.allSatisfy(isWord) }

    /// Branches may hold slashes (`refs/pr/1`), but no way out of a folder.
    private static func isRevision(_ text: Substring) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && part != "." && part != ".." && part.allSatisfy(isWord)
        }
    }
}
