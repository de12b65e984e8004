import Yams

/// YAML's merge keys (yaml.org/type/merge.html): `<<: *plan` adds those keys of another mapping, or of several, that
/// the mapping itself does not have.
enum MergeKeys {
    /// The mapping with the keys that its merge keys add; any other node is returned unchanged.
    /// - Returns: also each value of a merge key that is not a mapping, with its place.
    static func merged(_ node: Node) -> (node: Node, refused: [(message: String, node: Node)]) {
        guard case .mapping(let mapping) = node, mapping.contains(where: { isMerge($0.key) }) else { return (node, []) }
        var refused: [(message: String, node: Node)] = []
        var pairs = mapping.filter { !isMerge($0.key) }.map { ($0.key, $0.value) }
        var known = Set(pairs.map(\.0))
        for (_, value) in mapping.filter({ isMerge($0.key) }) {
            // If several mappings have a key, the first one counts.
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

    /// Whether a key is a plain `<<`; in quotes it is a key like any other.
    private static func isMerge(_ key: Node) -> Bool {
        guard case .scalar(let scalar) = key else { return false }
        return scalar.string == "<<" && scalar.style == .plain
    }
}
