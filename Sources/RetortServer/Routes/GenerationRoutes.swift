import Foundation
import Hummingbird
import RetortCore

/// `POST /v1/chat/completions` and `POST /v1/completions`.
struct GenerationRoutes {
    let core: ServerCore

    func add(to router: Router<ServerContext>) {
        router.post("/v1/chat/completions") { try await chat($0, $1) }
        router.post("/v1/completions") { try await complete($0, $1) }
    }

    private func chat(_ request: Request, _ context: ServerContext) async throws -> Response {
        let chat = try ChatRequest(body: await context.body(of: request, core.options), core.options)
        let entry = try core.catalogue.entry(chat.model)
        context.notes.model(chat.model)
        let head = core.head("chatcmpl", model: chat.model)
        switch entry {
        case .model(let model, let adapter):
            try chat.refuse(["votes", "return_trajectory"], "'\(chat.model)' is a model; these are for agents")
            let (generation, profile) = chat.generation(of: model, adapter: adapter)
            let events = core.generate([generation], on: model, context)
            return try await core.answer(ChatAnswer(head, chat, profile), events, chat.settings, context)
        case .agent(let agent):
            let question = try chat.question
            let rollout = agent.rollout(
                chat.names("temperature") ? chat.settings.sampling(SamplingDefaults()) : .greedy,
                chat.agent.votes ?? agent.votes)
            let task = AgentTask(
                id: String(StableHash.of(question), radix: 16), question: question, answers: [], family: .factual)
            let events = core.work(on: task, attempts: chat.settings.choices, with: rollout, context)
            return try await core.answer(AgentAnswer(head, chat), events, chat.settings, context)
        }
    }

    private func complete(_ request: Request, _ context: ServerContext) async throws -> Response {
        let completion = try CompletionRequest(body: await context.body(of: request, core.options), core.options)
        guard case .model(let model, let adapter) = try core.catalogue.entry(completion.model) else {
            throw APIError.invalid("'\(completion.model)' is an agent; ask it by /v1/chat/completions", param: "model")
        }
        context.notes.model(completion.model)
        let events = core.generate(completion.generations(of: model, adapter: adapter), on: model, context)
        let head = core.head("cmpl", model: completion.model)
        return try await core.answer(CompletionAnswer(head, completion), events, completion.settings, context)
    }
}

extension ChatRequest {
    /// The one question that an agent is asked.
    fileprivate var question: String {
        get throws(APIError) {
            try refuse(
                [
                    "tools", "chat_template_kwargs", "enable_thinking", "logprobs", "return_token_ids", "stop",
                    "max_tokens", "max_completion_tokens",
                ],
                "'\(model)' is an agent with tools, limits and a form of its own")
            guard settings.grammar == nil else {
                throw .unsupported("response_format", "'\(model)' is an agent, whose answers are as it gives them")
            }
            guard prefill.isEmpty, messages.count == 1, let message = messages.first, message.role == .user else {
                throw .invalid(
                    "'\(model)' is an agent: it brings its own instructions and works on one question at a time; send one "
                        + "user message", param: "messages")
            }
            return message.text
        }
    }

    /// Refuses parameters that what is asked has no use for.
    fileprivate func refuse(_ parameters: [String], _ reason: String) throws(APIError) {
        if let first = parameters.first(where: names) { throw .unsupported(first, reason) }
    }
}
