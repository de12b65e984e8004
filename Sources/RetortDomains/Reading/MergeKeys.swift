import Yams

/// YAML's merge keys (yaml.org/type/merge.html): `<<: *plan` takes the keys of another mapping, or of several, that the
/// mapping itself does not have.
enum MergeKeys {
    /// The mapping with what its merge keys take in; anything else as it is.
    /// - Returns: also what is no mapping behind a merge key, with its place.
    static func merged(_ node: Node) -> (node: Node, refused: [(message: String, node: Node)]) {
        guard case .mapping(let mapping) = node, mapping.contains(where: { isMerge($0.key) }) else { return (node, []) }
        var refused: [(message: String, node: Node)] = []
        var pairs = mapping.filter { !isMerge($0.key) }.map { ($0.key, $0.value) }
        var known = Set(pairs.map(\.0))
        for (_, value) in mapping.filter({ isMerge($0.key) }) {
            // Of several, the first one that has a key gives it.
            for source in value.sequence.map(Array.init) ?? [value] {
                let (taken, faults) = merged(source)
                refused += faults
                guard let members = taken.mapping else {
                    refused.append(("'<<' takes a mapping, or a list of mappings", source))
                    continue
                }
                for (key, value) in members where known.insert(key).inserted { pairs.append((key, value)) }
            }
        }
        return (.mapping(Node.Mapping(pairs, mapping.tag, mapping.style, mapping.mark)), refused)
    }

    /// A plain `<<`; in quotes it is a key like any other.
    private static func isMerge(_ key: Node) -> Bool {
        guard case .scalar(let scalar) = key else { return false }
        return scalar.string == "<<" && scalar.style == .plain
    }
}
