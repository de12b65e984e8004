extension String {
    /// The beginning of a long text, and how much of it is missing.
    package func shown(upTo limit: Int) -> String {
        guard count > limit else { return self }
        return "\(prefix(limit))… [\(count - limit) characters left out]"
    }
}
