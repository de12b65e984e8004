import Foundation
import RetortCore

/// The members of a JSON object in order. Of two with the same name the last counts, at the place of the first, as in
/// Python.
struct OrderedMembers {
    private(set) var names: [String] = []
    private var values: [String: JSONTree] = [:]

    init() {}

    /// - Parameter tree: an object; anything else has no members.
    init(_ tree: JSONTree?) {
        guard case .object(let members)? = tree else { return }
        for (name, value) in members { self[String(decoding: name, as: UTF8.self)] = value }
    }

    var isEmpty: Bool { names.isEmpty }

    /// The object with these members.
    var tree: JSONTree { .object(names.map { (name: Array($0.utf8), value: values[$0] ?? .null) }) }

    /// A member's value; setting nil removes it.
    subscript(_ name: String) -> JSONTree? {
        get { values[name] }
        set {
            if values.updateValue(newValue ?? .null, forKey: name) == nil { names.append(name) }
            guard newValue == nil else { return }
            values[name] = nil
            names.removeAll { $0 == name }
        }
    }

    /// Adds members; a known name keeps its place and takes the new value.
    mutating func merge(_ other: OrderedMembers) {
        for name in other.names { self[name] = other[name] }
    }
}

extension CheckpointSource {
    /// A JSON document with its members in order; nil when there is no such document.
    /// - Throws: `CheckpointError.malformed` for a file that is not a JSON object.
    func tree(_ document: String) throws -> JSONTree? {
        guard let bytes = try bytes(of: document) else { return nil }
        do {
            let tree = try JSONTree.parse(bytes)
            if case .object = tree { return tree }
        } catch {
            throw CheckpointError.malformed(file: path(of: document), "\(error)")
        }
        throw CheckpointError.malformed(file: path(of: document), "it is not a JSON object")
    }

    private func bytes(of document: String) throws -> [UInt8]? {
        switch self {
        case .folder(let url): (try? Data(contentsOf: url.appendingPathComponent(document))).map { [UInt8]($0) }
        case .gguf(let model): model.documents[document].map { Array(ExactJSON.text(.object($0)).utf8) }
        }
    }
}
