// The code of docs/distil-your-own-function.md; Tools/check_snippets.py holds the two against each other.

import Foundation
import RetortAgents
import RetortCore
import RetortLLM
import RetortTesting
import RetortTraining

// MARK: The function

/// A shop's prices, in cents.
struct Shop {
    static let articles = ["lamp": 1250, "chair": 4900, "kettle": 2300, "mirror": 3150, "basket": 875, "blanket": 1990]
    struct UnknownArticle: Error, CustomStringConvertible { var description: String }

    func price(of article: String, pieces: Int) throws -> Int {
        guard let price = Self.articles[article] else {
            throw UnknownArticle(description: "there is no '\(article)'; there are \(Self.articles.keys.sorted())")
        }
        return price * pieces
    }
}

struct Order: Decodable {
    var article: String
    var pieces: Int
}

let priceTool = FunctionTool(
    "price", "The price of some pieces of an article, in cents.",
    parameters: [
        .init("article", type: "string", summary: "its name"),
        .init("pieces", type: "integer", summary: "how many"),
    ]
) { (order: Order) in try Shop().price(of: order.article, pieces: order.pieces) }

// MARK: The tasks

/// Questions with the answers that the function gives. Every twentieth is kept for the test.
func tasks() throws -> (seen: [AgentTask], unseen: [AgentTask]) {
    var generator = SeededGenerator(seed: 1)
    let pieces = (2...999).shuffled(using: &generator).prefix(480)
    let all = try zip(pieces, (0...).lazy.map { Shop.articles.keys.sorted()[$0 % Shop.articles.count] }).map {
        AgentTask(
            id: "\($1)-\($0)", question: "What do I pay for \($0) of the \($1)?",
            answers: ["\(try Shop().price(of: $1, pieces: $0))"], family: .math)
    }
    return (all.indices.filter { $0 % 20 != 7 }.map { all[$0] }, all.indices.filter { $0 % 20 == 7 }.map { all[$0] })
}

// MARK: The agent

let documents = [ToolDocument(priceTool.specification)]
/// How a large model sees a task: format and rules are explained to it.
let teacherView = RoleView(.backbone, instructions: .full, tools: documents)
/// How the student sees it, when it learns and when it acts: it has learned the rest.
let studentView = RoleView(.backbone, instructions: .brief, tools: documents)

func agent(_ model: any LanguageModel, _ view: RoleView) -> Rollout {
    Rollout(policy: ToolAgent(model: RoleModel(model), view: view, maximumTokens: 64), maximumSteps: 3) {
        ToolEnvironment([priceTool])
    }
}

// MARK: The teacher

/// A rule in the place of a large model.
let teacher = ScriptedModel(identity: "rule") { request in
    let chat = request.messages.last?.text ?? ""
    if let seen = chat.firstMatch(of: #/observation: (\d+)/#) {
        return "I have the price.\nconclusion: \(seen.1)"
    }
    guard let asked = chat.firstMatch(of: #/user: .* (\d+) of the (\w+)\?/#) else { return "conclusion: give up." }
    return "I look up the price.\nAction: price\nAction Input: {\"article\": \"\(asked.2)\", \"pieces\": \(asked.1)}"
}

// MARK: Collect, train, use

/// The teacher's trajectories, without those that end in a wrong answer.
func collect(_ tasks: [AgentTask]) async throws -> [Trajectory] {
    try await agent(teacher, teacherView).trajectories(for: tasks, concurrency: 8)
        .filter { $0.answer == $0.task.answers.first }
}

/// Trains a student on trajectories, and writes it as a folder in Hugging Face's form.
/// - Returns: the loss of every update, in nats a token.
func train(on trajectories: [Trajectory], from base: URL, to folder: URL) throws -> [Double] {
    let checkpoint = try Checkpoint(folder: base)
    let samples = try TrainingSet(
        trajectories, view: studentView, template: checkpoint.template, tokenizer: checkpoint.tokenizer,
        limit: 1024, overlong: .drop)
    let plan = TrainingConfiguration(
        epochs: 2, rowTokens: 2048, learningRate: 2e-3, schedule: .cosine, warmup: 0.05, precision: .float32)
    let network = try checkpoint.network(dtype: plan.baseDType)
    let losses = try Trainer(network, configuration: plan).run(EpochRows(samples.examples, plan))
    try Checkpoint.write(network, dtype: .float32, tokenizerFrom: base, to: folder)
    return losses
}

/// How many of the tasks the student solves by itself.
func solved(_ tasks: [AgentTask], by folder: URL) async throws -> Int {
    let student = try LocalModel(folder: folder)
    return try await agent(student, studentView).trajectories(for: tasks, concurrency: 8)
        .count { $0.answer == $0.task.answers.first }
}
