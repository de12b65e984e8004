import ArgumentParser
import Foundation
import RetortCore
import RetortDomains
import RetortEvaluation
import RetortLLM
import RetortRecipes
import RetortRetrieval

extension EvaluateCommand {
    /// `retort evaluate retrieval`
    struct Retrieval: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "retrieval", abstract: "Measure how well a search finds the passages that questions name.",
            discussion: """
                  retort evaluate retrieval passages.jsonl questions.jsonl
                  retort evaluate retrieval shop/ questions.jsonl
                  retort evaluate retrieval http://127.0.0.1:8000 questions.jsonl
                  retort evaluate retrieval passages.jsonl questions.jsonl --encoder minilm --rerank BAAI/bge-reranker-base

                The documents are a domain, whose own way of searching is measured, too, or what a domain's 'documents' may \
                be: a folder, a file, JSON Lines of passages, an index, the address of a retrieval server. Each question is a line with a 'question' and the ids of its \
                passages in 'supporting'. Search by words is always measured; with an encoder also by meaning, and both together.

                recall@k is the share of a question's passages among the first k, all@k whether all of them are, MRR one over the \
                rank of the first of them among ten (or k, if that is more), nDCG@k the gain discounted by rank; with 95 % intervals over the questions.
                """)

        @Argument(help: "A domain, or documents.") var documents: String
        @Argument(help: "JSON Lines of questions.") var questions: String
        @Option(help: "An encoder's folder or name.") var encoder: String?
        @Option(help: "The prompt for queries, instead of the one in the encoder's files.") var queryPrompt: String?
        @Option(help: "The prompt for passages, instead of the one in the encoder's files.") var passagePrompt: String?
        @Option(
            help:
                "A cross-encoder's folder or name: what hybrid search finds (else search by words) is also put in order by it."
        )
        var rerank: String?
        @Option(help: "How many passages count.") var at = 5
        @Option(help: "The member of a question's record with the ids of its passages.") var supporting = "supporting"
        @Option(help: "How the models' weights are held: float32 or bfloat16; by default what is fastest here.")
        var weights: WeightPrecision?
        @Option(help: "Only the first so many questions.") var limit: Int?
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            guard (1...1000).contains(at) else { throw ValidationError("--at must be 1 to 1000") }
            if SearchedPlace.isAddress(documents), encoder != nil || queryPrompt != nil || passagePrompt != nil {
                throw ValidationError("a retrieval server has an encoder and prompts of its own")
            }
            if let weights, weights != .float32, weights != .bfloat16 {
                throw ValidationError("--weights must be float32 or bfloat16")
            }
        }

        private struct Question {
            let text: String
            let wanted: Set<String>
        }

        private struct Row: Encodable {
            let search: String
            let questions: Int
            let recall, complete, reciprocalRank, discountedGain: RetrievalMeasures.Figure
            let queriesPerSecond: Double
        }

        func run() async throws {
            let questions = try read()
            let plan = try SearchedPlace.plan(documents)
            var rows: [Row] = []
            for (name, documents) in ways(plan) {
                let opened = try await open(documents, plan)
                rows.append(try await measure(name, opened.search, questions))
                if !json { show(rows[rows.count - 1], isFirst: rows.count == 1) }
            }
            if json { print(String(decoding: try ExactJSON.encode(rows), as: UTF8.self)) }
        }

        private func read() throws -> [Question] {
            var questions: [Question] = []
            let file = URL(fileURLWithPath: self.questions)
            try JSONLinesFile(file).forEach(JSONValue.self) { record, line in
                guard let text = record["question"]?.string, let ids = record[supporting]?.array?.compactMap(\.text),
                    !ids.isEmpty
                else {
                    throw ValidationError(
                        "\(file.path), line \(line): a question needs a text 'question' and a list of ids '\(supporting)'"
                    )
                }
                questions.append(Question(text: text, wanted: Set(ids)))
            }
            guard !questions.isEmpty else { throw ValidationError("\(file.path) holds no question") }
            return Array(questions.prefix(limit ?? .max))
        }

        /// The searches to measure, by name.
        private func ways(_ plan: DomainPlan) -> [(String, DomainPlan.Documents)] {
            guard let own = plan.documents else { return [] }
            guard own.service == nil else { return serviceWays(own) }
            func way(_ kind: DomainPlan.DocumentSearch.Kind, rerank: String? = nil) -> DomainPlan.Documents {
                var (documents, search) = (own, own.search ?? .init())
                search.kind = kind
                search.encoder = kind == .bm25 ? nil : encoder ?? search.encoder
                (search.queryPrompt, search.passagePrompt) =
                    (queryPrompt ?? search.queryPrompt, passagePrompt ?? search.passagePrompt)
                search.rerank = rerank
                documents.search = search
                return documents
            }
            var ways: [(String, DomainPlan.Documents)] = [("bm25", way(.bm25))]
            let embeds = encoder != nil || own.search?.encoder != nil
            if embeds { ways += [("dense", way(.dense)), ("hybrid", way(.hybrid))] }
            if let ranker = rerank ?? own.search?.rerank {
                let kind: DomainPlan.DocumentSearch.Kind = embeds ? .hybrid : .bm25
                ways.append(("\(kind.rawValue), re-ranked", way(kind, rerank: ranker)))
            }
            return ways
        }

        /// A server searches in its own way only.
        private func serviceWays(_ own: DomainPlan.Documents) -> [(String, DomainPlan.Documents)] {
            var (plain, ranked) = (own, own)
            plain.search = nil
            guard let ranker = rerank ?? own.search?.rerank else { return [("service", plain)] }
            ranked.search = own.search ?? .init()
            ranked.search?.rerank = ranker
            return [("service", plain), ("service, re-ranked", ranked)]
        }

        private func open(_ documents: DomainPlan.Documents, _ plan: DomainPlan) async throws -> OpenedDocuments {
            try await SearchedPlace.open(documents, of: plan, weights: weights)
        }

        private func measure(_ name: String, _ search: any PassageSearch, _ questions: [Question]) async throws -> Row {
            var cases: [RetrievalMeasures.Case] = []
            let start = ContinuousClock.now
            for question in questions {
                try Task.checkCancellation()
                let found = try await search.search(question.text, limit: max(at, 10))
                cases.append(.init(wanted: question.wanted, found: found.map(\.id)))
            }
            let seconds = start.duration(to: .now) / .seconds(1)
            let measures = RetrievalMeasures(cases)
            return Row(
                search: name, questions: cases.count, recall: measures.recall(at: at),
                complete: measures.complete(at: at),
                reciprocalRank: measures.reciprocalRank, discountedGain: measures.discountedGain(at: at),
                queriesPerSecond: Double(cases.count) / seconds)
        }

        private func show(_ row: Row, isFirst: Bool) {
            func figure(_ figure: RetrievalMeasures.Figure) -> String {
                String(format: "%5.1f (%.1f–%.1f)", 100 * figure.mean, 100 * figure.low, 100 * figure.high)
            }
            func line(_ cells: [String]) -> String {
                cells.map { $0 + String(repeating: " ", count: max(1, 20 - $0.count)) }.joined()
            }
            if isFirst {
                print("\(row.questions) questions, in percent with 95 % intervals")
                print(line(["search", "recall@\(at)", "all@\(at)", "MRR", "nDCG@\(at)", "queries/s"]))
            }
            print(
                line([
                    row.search, figure(row.recall), figure(row.complete), figure(row.reciprocalRank),
                    figure(row.discountedGain), String(format: "%.0f", row.queriesPerSecond),
                ]))
        }
    }
}
