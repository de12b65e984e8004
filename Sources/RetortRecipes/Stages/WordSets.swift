extension String {
    /// Its words: runs of letters and digits, in small letters.
    var wordSet: Set<String> { Set(lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)) }
}

extension Set {
    /// How much two have in common, from 0 to 1 (Jaccard); 1 for two that are empty.
    func similarity(to other: Self) -> Double {
        let union = union(other).count
        return union == 0 ? 1 : Double(intersection(other).count) / Double(union)
    }
}
