import Hummingbird
import RetortCore

/// The pages that try out domains: tools called by hand, documents searched, answers graded.
struct TryRoutes {
    let core: StudioCore

    private struct Nothing: Sendable { let hasDomains = false }

    func add(to router: Router<ServerContext>) {
        router.get("/try") { request, _ in
            let asked = StudioQuery(request).text("domain")
            guard let name = asked ?? core.domains.names.first else {
                return try core.page(Nothing(), "nothing", title: "Try", here: "/try")
            }
            let page = await TryPage(name, among: core.domains.names, try await core.domains.table(name))
            return try core.page(page, "try", title: "Try \(name)", here: "/try")
        }
        act(router, "begin") { table, form in try await table.begin(try form.required("task")) }
        act(router, "search") { table, form in try await table.search(try form.required("query")) }
        act(router, "call") { table, form in
            let name = try form.required("tool")
            guard let tool = table.domain.tools.first(where: { $0.name == name }) else {
                throw APIError.invalid("the domain has no tool '\(name.shown(upTo: 200))'")
            }
            try await table.call(tool, try ToolForm.arguments(tool, form))
        }
        act(router, "grade") { table, form in
            let text = form.raw("answer") ?? ""
            let isJSON = form.text("json") != nil
            guard let answer = isJSON ? try? ExactJSON.value(of: text) : .string(text) else {
                throw APIError.invalid("the answer is no JSON")
            }
            try await table.grade(answer)
        }
    }

    private func act(
        _ router: Router<ServerContext>, _ name: String,
        _ action: @escaping @Sendable (TriedDomain, StudioForm) async throws -> Void
    ) {
        router.post("/try/\(name)") { request, _ in
            let form = try await StudioForm(request, core.options)
            let domain = try form.required("domain")
            try await action(try await core.domains.table(domain), form)
            return Response.see(StudioQuery.address("/try", [("domain", domain)]))
        }
    }
}
