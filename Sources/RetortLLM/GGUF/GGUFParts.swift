import Foundation

/// The parts of a model that `llama-gguf-split` created: `NAME-00001-of-00003.gguf`, of which the first contains the
/// metadata.
enum GGUFParts {
    private static let largestCount = 1000

    /// A file's place among the parts; nil for a file that is not a part.
    private static func place(_ url: URL) -> (base: String, number: Int, count: Int)? {
        let name = url.deletingPathExtension().lastPathComponent
        guard let match = name.wholeMatch(of: /(.+)-(\d{5})-of-(\d{5})/), let number = Int(match.2),
            let count = Int(match.3)
        else { return nil }
        return (String(match.1), number, count)
    }

    /// A model's name according to its file.
    static func name(of url: URL) -> String { place(url)?.base ?? url.deletingPathExtension().lastPathComponent }

    /// Opens a file, or all parts of the model that it is a part of.
    /// - Throws: `CheckpointError` that names the part that is missing or does not fit.
    static func open(_ url: URL) throws -> [GGUFContents] {
        let contents = try GGUFContents(url)
        let stated = try number("split.count", contents) ?? 1
        guard stated > 1 else { return [contents] }
        guard let place = place(url), place.count == stated, stated <= largestCount else {
            throw CheckpointError.malformed(
                file: url.path,
                "it is one of \(stated) parts ('split.count'), and its name does not end in -00001-of-0000\(stated).gguf"
            )
        }
        let folder = url.deletingLastPathComponent()
        let parts = try (1...stated).map { number in
            let name = String(format: "%@-%05d-of-%05d.%@", place.base, number, stated, url.pathExtension)
            let part = number == place.number ? contents : try GGUFContents(folder.appendingPathComponent(name))
            guard try self.number("split.no", part) == number - 1, try self.number("split.count", part) == stated else {
                throw CheckpointError.malformed(
                    file: part.path, "its 'split.no' and 'split.count' are not those of part \(number) of \(stated)")
            }
            return part
        }
        try check(parts)
        return parts
    }

    private static func number(_ key: String, _ contents: GGUFContents) throws -> Int? {
        guard let value = contents.values[key] else { return nil }
        guard let number = value.integer, number >= 0 else { throw contents.malformed(key, "is \(value.text)") }
        return number
    }

    private static func check(_ parts: [GGUFContents]) throws {
        var names: [String: String] = [:]
        for (index, part) in parts.enumerated() {
            for name in part.tensors.keys {
                guard let other = names.updateValue(part.path, forKey: name) else { continue }
                throw CheckpointError.malformed(file: part.path, "it has the tensor '\(name)', which \(other) has, too")
            }
            guard index > 0 else { continue }
            // Any other key of a later part would be ignored silently.
            let strays = part.values.keys.filter { key in
                !key.hasPrefix("split.") && !["general.architecture", "general.alignment"].contains(key)
            }
            if let stray = strays.min() {
                throw CheckpointError.unsupported(
                    file: part.path, "the key '\(stray)' in another part than the first")
            }
        }
        guard let stated = try number("split.tensors.count", parts[0]), stated != names.count else { return }
        throw CheckpointError.malformed(
            file: parts[0].path, "its parts have \(names.count) tensors, and 'split.tensors.count' is \(stated)")
    }
}
