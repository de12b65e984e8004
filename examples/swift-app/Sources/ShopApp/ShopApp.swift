import RetortAgents
import RetortCore
import RetortRemote
import RetortTesting

/// What the app can do already.
struct Stock {
    enum Fault: Error, CustomStringConvertible {
        case unknown(article: String)

        var description: String {
            switch self {
            case .unknown(let article): "there is no article '\(article)'; there are lamp and chair"
            }
        }
    }

    func pieces(of article: String) throws -> Int {
        guard let pieces = ["lamp": 12, "chair": 7][article] else { throw Fault.unknown(article: article) }
        return pieces
    }
}

/// The same, for an agent.
let stock = FunctionTool(
    "stock", "How many pieces of an article there are.",
    parameters: [.init("article", type: "string", summary: "its name")]
) { (order: Order) in try Stock().pieces(of: order.article) }

struct Order: Decodable {
    var article: String
}

/// An agent of tools, with any model behind it.
func agent(_ model: any LanguageModel) -> Rollout {
    Rollout(
        policy: ToolAgent(
            model: RoleModel(model), instructions: .full, tools: [ToolDocument(stock.specification)]),
        maximumSteps: 4
    ) { ToolEnvironment([stock]) }
}

/// Stands in for a large model: it looks an article up, then answers.
let rule = ScriptedModel { request in
    let chat = request.messages.last?.text ?? ""
    if let seen = chat.firstMatch(of: #/observation: (\d+)/#) { return "I know it.\nconclusion: \(seen.1)" }
    let article = chat.contains("chair") ? "chair" : "lamp"
    return "I look it up.\nAction: stock\nAction Input: {\"article\": \"\(article)\"}"
}

@main
struct ShopApp {
    struct WrongAnswer: Error, CustomStringConvertible {
        var description: String
    }

    static func main() async throws {
        try await ask("in this process", rule)

        // The same model behind a server that is slow, refuses and breaks off; in the app, a real server's address.
        let endpoint = try await FaultyEndpoint(
            .init(faults: [.tooManyRequests, .halfStream, .slowBytes], faultRate: 0.6), model: rule)
        let remote = try RemoteModel(
            [Endpoint(endpoint.address, model: "canned")],
            options: RemoteOptions(retries: .init(attempts: 20, base: 0.05, cap: 0.2)))
        try await ask("behind a server", remote)
        try await endpoint.close()
    }

    static func ask(_ place: String, _ model: any LanguageModel) async throws {
        for (article, pieces) in [("lamp", "12"), ("chair", "7")] {
            let task = AgentTask(
                id: article, question: "How many of the \(article) are left?", answers: [pieces], family: .factual)
            let trajectory = try await agent(model).trajectory(for: task)
            guard trajectory.answer == pieces else {
                throw WrongAnswer(description: "\(place), \(article): \(trajectory.ending.map { "\($0)" } ?? "no end")")
            }
            print("\(place): \(task.question) \(pieces), after \(trajectory.steps.count) steps")
        }
    }
}
