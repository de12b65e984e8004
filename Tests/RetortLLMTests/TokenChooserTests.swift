import Foundation
import RetortCore
import RetortTensor
import Testing

@testable import RetortLLM

@Suite("Choice of tokens")
struct TokenChooserTests {
    private static let tokenizer = Result { try Tokenizer(seedlings.appendingPathComponent("tokenizer")) }
    private static let draws = 4000

    /// How often each token is drawn of some scores, each draw with a number of its own.
    private func counts(
        _ scores: [Float], _ sampling: Sampling, _ constraint: TokenConstraint? = nil, beside: Int = 0
    ) throws -> [Int: Int] {
        var generator = SeededGenerator(seed: 5)
        var counts: [Int: Int] = [:]
        let rows = 200
        for _ in 0..<Self.draws / rows {
            let wanted = (0..<rows).map { _ in
                TokenChooser.Row(
                    sampling: sampling, draw: Double.random(in: 0..<1, using: &generator), alternatives: nil,
                    constraint: constraint)
            }
            // Other rows of another kind must not matter.
            let others = (0..<beside).map { _ in TokenChooser.Row(sampling: .greedy, draw: 0) }
            let logits = try Tensor(
                Array(repeating: scores, count: rows + beside).flatMap(\.self), shape: [rows + beside, scores.count])
            for choice in try TokenChooser.choose(logits, others + wanted).dropFirst(beside) {
                counts[choice.token, default: 0] += 1
            }
        }
        return counts
    }

    /// Pearson's χ² of counts against probabilities.
    private func distance(_ counts: [Int: Int], _ probabilities: [Int: Double]) -> Double {
        probabilities.reduce(0) { sum, item in
            let expected = item.value * Double(Self.draws)
            let difference = Double(counts[item.key] ?? 0) - expected
            return sum + difference * difference / expected
        }
    }

    /// Scores of a vocabulary in which some texts have the given probabilities and all others next to none.
    private func scores(_ probabilities: [(String, Double)]) throws -> (scores: [Float], tokens: [Int]) {
        let tokenizer = try Self.tokenizer.get()
        var scores = [Float](repeating: -60, count: tokenizer.vocabularySize)
        let tokens = try probabilities.map { text, probability in
            let token = Int(try #require(tokenizer.encode(text, specials: .asText).first))
            scores[token] = Float(log(probability))
            return token
        }
        return (scores, tokens)
    }

    private func constraint(_ texts: [String]) throws -> TokenConstraint {
        let tokenizer = try Self.tokenizer.get()
        let end = try #require(tokenizer.id(of: "<|im_end|>"))
        return TokenConstraint(.oneOf(texts.map(OutputGrammar.text)), TokenTrie(tokenizer, endTokens: [Int(end)]))
    }

    @Test("draws follow the probabilities, whole or cut", arguments: [0, 3])
    func free(beside: Int) throws {
        let (scores, tokens) = try scores([("a", 0.5), ("b", 0.3), ("c", 0.15), ("d", 0.05)])
        let all = try counts(scores, Sampling(temperature: 1), beside: beside)
        // The 99.9th percentile of χ² with three degrees of freedom.
        #expect(distance(all, [tokens[0]: 0.5, tokens[1]: 0.3, tokens[2]: 0.15, tokens[3]: 0.05]) < 16.3)
        let nucleus = try counts(scores, Sampling(temperature: 1, topP: 0.75), beside: beside)
        #expect(nucleus.keys.sorted() == tokens[0...1].sorted())
        #expect(distance(nucleus, [tokens[0]: 0.625, tokens[1]: 0.375]) < 10.9)
        let hot = try counts(scores, Sampling(temperature: 2, topK: 2), beside: beside)
        let ratio = sqrt(0.5 / 0.3)
        #expect(distance(hot, [tokens[0]: ratio / (1 + ratio), tokens[1]: 1 / (1 + ratio)]) < 10.9)
    }

    @Test(
        "under a grammar draws follow the probabilities among what is allowed, wherever the refused ones stand",
        arguments: 0..<3)
    func masked(refused: Int) throws {
        // The refused token stands before, between or behind the allowed ones in the order of draws.
        let letters = ["a", "b", "c"]
        let weights = [0.5, 0.4, 0.1]
        let (scores, tokens) = try scores(Array(zip(letters, weights)))
        let kept = (0..<3).filter { $0 != refused }
        let constraint = try constraint(kept.map { letters[$0] })
        let mass = kept.map { weights[$0] }.reduce(0, +)
        let expected = Dictionary(uniqueKeysWithValues: kept.map { (tokens[$0], weights[$0] / mass) })
        for sampling in [
            Sampling(temperature: 1), Sampling(temperature: 1, topK: 50), Sampling(temperature: 1, topP: 0.999),
        ] {
            let counts = try counts(scores, sampling, constraint, beside: 2)
            #expect(Set(counts.keys).isSubset(of: expected.keys))
            // The 99.9th percentile of χ² with one degree of freedom.
            #expect(distance(counts, expected) < 10.9, "\(sampling): \(counts)")
        }
        // The nucleus is that of what is allowed.
        let narrow = try counts(scores, Sampling(temperature: 1, topP: 0.5), constraint)
        #expect(Array(narrow.keys) == [tokens[kept[0]]])
    }

    @Test("the likeliest allowed token is taken where none is drawn, whether or not the likeliest is allowed")
    func greedy() throws {
        let (scores, tokens) = try scores([("a", 0.5), ("b", 0.4), ("c", 0.1)])
        #expect(try counts(scores, .greedy, constraint(["a", "c"])) == [tokens[0]: Self.draws])
        #expect(try counts(scores, .greedy, constraint(["c", "b"])) == [tokens[1]: Self.draws])
        // Reported probabilities are the model's own.
        let row = TokenChooser.Row(
            sampling: Sampling(temperature: 1), draw: 0.3, alternatives: 1, constraint: try constraint(["c"]))
        let choice = try #require(
            try TokenChooser.choose(Tensor(scores, shape: [1, scores.count]), [row]).first)
        #expect(choice.token == tokens[2])
        #expect(abs((choice.logprob ?? 0) - Float(log(0.1))) < 1e-3)
        #expect(choice.alternatives.map(\.token) == [tokens[0]])
    }

    @Test("masks are those of each token tried alone, far from bounds and near them, open and closing")
    func masks() throws {
        let tokenizer = try Self.tokenizer.get()
        let end = Int(try #require(tokenizer.id(of: "<|im_end|>")))
        let trie = TokenTrie(tokenizer, endTokens: [end])
        let schema = try JSONSchema([
            "type": "object", "required": ["s", "p", "n"], "additionalProperties": false,
            "properties": [
                "s": ["type": "string", "maxLength": 60, "minLength": 3],
                "p": ["type": "string", "pattern": "^(ab|c)+d?$"],
                "n": ["type": "array", "items": ["type": ["integer", "number"]], "minItems": 2, "maxItems": 60],
            ],
        ])
        var constraint = TokenConstraint(.sequence([.text("So: "), .json(schema)]), trie)
        let text =
            "So: {\"s\":\"\(String(repeating: "word ", count: 12))\",\"n\":[\(String(repeating: "1, ", count: 57))2,3],\"p\":\"ababcd\"}"
        for (step, token) in tokenizer.encode(text, specials: .asText).enumerated() {
            var closing = constraint
            closing.close()
            for (state, offset) in [(constraint, 0), (closing, 1)] where step % 3 == offset {
                let mask = try state.mask(vocabularySize: tokenizer.vocabularySize).floats()
                for other in stride(from: step % 29, to: tokenizer.vocabularySize, by: 29) where other != end {
                    #expect((mask[other] == 0) == state.allows(other), "\(step) \(other)")
                }
                #expect(mask[end] != 0)
            }
            let isAccepted = constraint.accept(Int(token))
            #expect(isAccepted, "\(step)")
        }
        #expect(constraint.isExhausted)
    }

    @Test("requests with one grammar share its automaton, and so the masks")
    func sharing() throws {
        let trie = TokenTrie(try Self.tokenizer.get(), endTokens: [])
        let first = try trie.automaton(for: .json(.anyObject))
        #expect(try first === trie.automaton(for: .json(.anyObject)))
        #expect(throws: GrammarError.unsatisfiable) { try trie.automaton(for: .oneOf([])) }
        let spelled = try trie.automaton(for: .text("\u{e9}"))
        #expect(try spelled !== trie.automaton(for: .text("e\u{301}")))
        #expect(TokenConstraint(.oneOf([]), trie).isExhausted)
    }
}
