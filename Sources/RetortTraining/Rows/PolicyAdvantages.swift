/// How much better tokens were than expected.
package enum PolicyAdvantages {
    /// Of a group of answers to one question: how far each reward is from the group's mean, in standard deviations (GRPO, arXiv 2402.03300,
    /// section 4.1.2; with the deviation of a sample, as TRL has it). Zero where all are alike.
    package static func ofGroup(_ rewards: [Double]) -> [Double] {
        guard rewards.count > 1 else { return rewards.map { _ in 0 } }
        let mean = rewards.reduce(0, +) / Double(rewards.count)
        let square = rewards.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(rewards.count - 1)
        return rewards.map { ($0 - mean) / (square.squareRoot() + 1e-4) }
    }

    /// Of tokens that a student wrote: how much more probable each is to the teacher. Their mean is the negated reverse divergence.
    package static func ofTeacher(_ teacher: [Float], student: [Float]) -> [Float] {
        zip(teacher, student).map { $0 - $1 }
    }

    /// How much each step counts whose tokens were drawn by a student that may have left the teacher's ways: less, the farther it is
    /// from the teacher than in its first step, never more than a fifth more (SOD, arXiv 2605.07725).
    /// - Parameters:
    ///   - weights: of tokens; a step is a run of those that are not 0.
    ///   - advantages: of tokens.
    /// - Returns: a factor for each token.
    package static func stepFactors(_ advantages: [Float], weights: [Float]) -> [Float] {
        var factors = [Float](repeating: 1, count: weights.count)
        var first: Float?
        var start = 0
        while start < weights.count {
            guard weights[start] != 0 else {
                start += 1
                continue
            }
            let end = weights[start...].firstIndex { $0 == 0 } ?? weights.count
            let distance = advantages[start..<end].reduce(0) { $0 + abs($1) } / Float(end - start)
            // The product of the ratios from step to step is that of the first to this.
            let factor = first.map { min(($0 + 1e-6) / (distance + 1e-6), 1.2) } ?? 1
            first = first ?? distance
            for index in start..<end { factors[index] = factor }
            start = end
        }
        return factors
    }
}
