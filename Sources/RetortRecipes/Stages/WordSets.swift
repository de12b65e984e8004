extension String {
    /// Its words: runs of letters and digits, in lower case.
    var wordSet: Set<String> { Set(lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)) }
}

extension Set {
    /// How much two sets have in common, from 0 to 1 (Jaccard); 1 for two empty sets.
    func similarity(to other: Self) -> Double {
        let union = union(other).count
        return union == 0 ? 1 : Double(intersection(other).count) / Double(union)
    }
}
