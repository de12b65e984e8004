import RetortCore

/// Chooses a few trajectories of a task that differ from one another.
enum DiverseChoice {
    /// The shortest one first, then always the one farthest from all chosen ones (the greedy rule of T. Gonzalez, 1985,
    /// for the k-center problem), by the Jaccard distance of the words of their actions.
    static func of(_ trajectories: [Trajectory], _ limit: Int) -> [Trajectory] {
        guard trajectories.count > limit else { return trajectories }
        let bags = trajectories.map { Set($0.actions.flatMap(words)) }
        let first = trajectories.indices.min {
            (trajectories[$0].steps.count, bags[$0].count, trajectories[$0].id)
                < (trajectories[$1].steps.count, bags[$1].count, trajectories[$1].id)
        }
        guard let first, limit > 0 else { return [] }
        var chosen = [first]
        var distances = bags.map { distance($0, bags[first]) }
        while chosen.count < limit {
            let rest = trajectories.indices.filter { !chosen.contains($0) }
            guard let next = rest.max(by: { (distances[$0], $1) < (distances[$1], $0) }) else { break }
            chosen.append(next)
            for index in bags.indices { distances[index] = min(distances[index], distance(bags[index], bags[next])) }
        }
        return chosen.map { trajectories[$0] }
    }

    private static func words(_ text: String) -> [Substring] {
        text.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
    }

    private static func distance(_ a: Set<Substring>, _ b: Set<Substring>) -> Double {
        1 - a.similarity(to: b)
    }
}
