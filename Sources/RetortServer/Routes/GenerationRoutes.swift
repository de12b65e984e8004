import Foundation
import Hummingbird
import RetortAgents
import RetortCore
import RetortRemote

/// `POST /v1/chat/completions`, `POST /v1/completions`, and Anthropic's `POST /v1/messages`.
struct GenerationRoutes {
    let core: ServerCore

    func add(to router: Router<ServerContext>) {
        router.post("/v1/chat/completions") { try await chat($0, $1) }
        router.post("/v1/completions") { try await complete($0, $1) }
        router.post("/v1/messages") { try await messages($0, $1) }
    }

    private func chat(_ request: Request, _ context: ServerContext) async throws -> Response {
        let body = try await context.body(of: request, core.options)
        if let passed = try await pass(.chatCompletions, body, request, context) { return passed }
        let chat = try await read(body)
        let head = core.head("chatcmpl", model: chat.model)
        return try await respond(to: chat, context) {
            try await core.answer(ChatAnswer(head, chat, $1), $0, chat.settings, context)
        } agent: {
            try await core.answer(AgentAnswer(head, chat), $0, chat.settings, context)
        }
    }

    private func messages(_ request: Request, _ context: ServerContext) async throws -> Response {
        let body = try await context.body(of: request, core.options)
        if let passed = try await pass(.messages, body, request, context) { return passed }
        let asked = try MessagesRequest(body: body)
        let isForAgent = if case .agent = try core.catalogue.entry(asked.model) { true } else { false }
        do {
            let chat = try await read(asked.body(isForAgent: isForAgent))
            let head = core.head("msg", model: chat.model)
            return try await respond(to: chat, context) {
                try await core.answer(MessagesAnswer(ChatAnswer(head, chat, $1), head), $0, chat.settings, context)
            } agent: {
                try await core.answer(MessagesAnswer(AgentAnswer(head, chat), head), $0, chat.settings, context)
            }
        } catch let error as APIError {
            throw error.inMessagesTerms
        }
    }

    private func read(_ body: [UInt8]) async throws -> ChatRequest {
        try await RequestReading.of(body) { [options = core.options] body in try ChatRequest(body: body, options) }
    }

    /// Passes a request on, if its model is one that other servers answer for.
    /// - Returns: nil for other models, and for bodies that cannot be read.
    private func pass(
        _ operation: PassedRequest.Operation, _ body: [UInt8], _ request: Request, _ context: ServerContext
    ) async throws -> Response? {
        guard !core.catalogue.replicas.isEmpty, let tree = try? JSONTree.parse(body),
            let passed = PassedRequest(operation, tree, headers: PassedHeaders.of(request)),
            case .replicas(let replicas) = try core.catalogue.entry(passed.model)
        else { return nil }
        context.notes.model(passed.model)
        return try await core.pass(passed, to: replicas, context)
    }

    /// Lets a model or an agent answer a chat.
    private func respond(
        to chat: ChatRequest, _ context: ServerContext,
        model: (EventCursor<GenerationEvent>, ReplyProfile) async throws -> Response,
        agent: (EventCursor<AgentAnswer.Event>) async throws -> Response
    ) async throws -> Response {
        let entry = try core.catalogue.entry(chat.model)
        context.notes.model(chat.model)
        switch entry {
        case .model(let served, let adapter):
            try chat.refuse(["votes", "return_trajectory"], "'\(chat.model)' is a model; these are for agents")
            let (generation, profile) = chat.generation(of: served, adapter: adapter)
            return try await model(core.generate([generation], on: served, context), profile)
        case .agent(let served):
            let question = try chat.question
            let rollout: Rollout
            do {
                rollout = try served.rollout(
                    chat.names("temperature") ? chat.settings.sampling(SamplingDefaults()) : .greedy,
                    chat.agent.votes ?? served.votes)
            } catch {
                throw APIError.invalid("\(error)", param: "votes")
            }
            let task = served.task(question)
            return try await agent(core.work(on: task, attempts: chat.settings.choices, with: rollout, context))
        case .replicas: throw APIError.server("the request was not passed on")
        }
    }

    private func complete(_ request: Request, _ context: ServerContext) async throws -> Response {
        let body = try await context.body(of: request, core.options)
        if let passed = try await pass(.completions, body, request, context) { return passed }
        let completion = try await RequestReading.of(body) { [options = core.options] body in
            try CompletionRequest(body: body, options)
        }
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
    /// The one question that the chat asks an agent.
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

    /// Refuses parameters that do not apply to the chosen model or agent.
    fileprivate func refuse(_ parameters: [String], _ reason: String) throws(APIError) {
        if let first = parameters.first(where: names) { throw .unsupported(first, reason) }
    }
}
